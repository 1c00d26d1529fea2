"""Quality: what is compared stands in a plan (TOML) before it is run; losing rows stay."""
