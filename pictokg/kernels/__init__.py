"""The few hot loops. They know arrays only; each stands beside a plain torch twin that tests hold it against."""
