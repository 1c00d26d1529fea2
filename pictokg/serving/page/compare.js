// Compare: one question, two runs side by side.

import { get } from "./api.js";
import { answerCard } from "./cards.js";
import { empty, fill, h } from "./dom.js";
import { questionBar } from "./question.js";
import { go, state } from "./state.js";

export async function compare(view, asked) {
  const hello = h("div", { class: "hello" }, h("h1", {}, "Two runs, one question"), h("p", {}, "What one answers and the other does not; ranks that differ are marked."));
  if (state.runs.length < 2) {
    return view.replaceChildren(hello, empty("There is one run only", "Serve two to compare them: ", h("code", {}, "pictokg serve RUN RUN2")));
  }
  const first = asked.first ?? state.runs[0].name;
  const second = asked.second ?? state.runs.find((run) => run.name !== first).name;
  const bar = h("div");
  const both = h("div", { class: "two" });
  view.replaceChildren(hello, bar, h("div", { class: "two heads" }, chooser("first", first, asked), chooser("second", second, asked)), both);
  fill(bar, () => questionBar(asked, (next) => go("compare", next)));
  if (!asked.entity || !asked.relation) return both.replaceChildren(empty("Ask something", "Choose an entity and a relation above."));
  return fill(both, () => answersOfBoth(asked, first, second), { skeletons: 4, announce: () => "Answers of both runs are shown" });
}

function chooser(which, value, asked) {
  const select = h("select", { id: which, onchange: () => go("compare", { ...asked, [which]: select.value }) }, state.runs.map((run) => h("option", { value: run.name }, `${run.name} (${[run.model, ...run.modalities].join(", ")})`)));
  select.value = value;
  return h("div", { class: "field" }, h("label", { for: which }, which === "first" ? "First run" : "Second run"), select);
}

async function answersOfBoth(asked, first, second) {
  const side = asked.side === "head" ? "head" : "tail";
  const given = side === "tail" ? "head" : "tail";
  const question = (run) => get("/answers", { [given]: asked.entity, relation: asked.relation, k: 50, run });
  const [one, two] = await Promise.all([question(first), question(second)]);
  const triple = { [given]: asked.entity, relation: asked.relation, side };
  return [column(one.answers, two.answers, triple, first), column(two.answers, one.answers, triple, second)];
}

function column(answers, others, triple, run) {
  const elsewhere = new Map(others.map((answer, place) => [answer.name, place]));
  const shown = answers.slice(0, 10).map((answer, place) => {
    const other = elsewhere.get(answer.name);
    const words = other === undefined ? "not among 50 of the other" : other === place ? "same place" : `place ${other + 1} of the other`;
    return answerCard(answer, place + 1, triple, { run, note: h("small", { class: other === place ? "same" : "differs" }, words) });
  });
  return h("section", { "aria-label": `Answers of ${run}` }, h("ol", { class: "cards narrow" }, shown));
}
