// New facts: what a relation lacks, the surest first.

import { get } from "./api.js";
import { sureness } from "./cards.js";
import { empty, fill, h } from "./dom.js";
import { picture } from "./pictures.js";
import { address, go, relationsOf, state } from "./state.js";
import { openWhy } from "./why.js";

export async function facts(view, asked) {
  const bar = h("div");
  const list = h("section", { "aria-label": "New facts" });
  view.replaceChildren(h("div", { class: "hello" }, h("h1", {}, "Facts that the graph lacks"), h("p", {}, "Of one relation, the surest first. Nothing is added to the graph.")), bar, list);
  const relations = await relationsOf(state.run);
  if (!relations.length) return bar.replaceChildren(empty("No relations", "The graph has none to complete."));
  const chosen = { ...asked, relation: asked.relation ?? relations[0].name };
  bar.replaceChildren(controls(chosen, relations));
  return fill(list, () => shown(chosen), { skeletons: 5, announce: () => "New facts are shown" });
}

function controls(asked, relations) {
  const select = h("select", { id: "of", onchange: () => go("facts", { ...asked, relation: select.value }) },
    relations.map((relation) => h("option", { value: relation.name }, `${relation.label} (${relation.facts.toLocaleString("en")} known)`)));
  select.value = asked.relation;
  const least = h("select", { id: "least", onchange: () => go("facts", { ...asked, least: least.value }) },
    [["", "any"], ["0.5", "50 %"], ["0.8", "80 %"], ["0.9", "90 %"], ["0.99", "99 %"]].map(([value, words]) => h("option", { value }, words)));
  least.value = asked.least ?? "";
  const calibrated = state.runs.find((run) => run.name === state.run)?.calibrated;
  return h("div", { class: "question" },
    h("div", { class: "field grow" }, h("label", { for: "of" }, "Relation"), select),
    calibrated ? h("div", { class: "field" }, h("label", { for: "least" }, "At least"), least) : null);
}

async function shown(asked) {
  const { facts: found } = await get("/complete", { relation: asked.relation, min_probability: asked.least, limit: 60, run: state.run });
  if (!found.length) return empty("No new facts", "None reaches this probability, or the relation is complete as far as the model sees.");
  return h("ol", { class: "pairs" }, found.map((fact) => h("li", {},
    thing(fact.head), h("span", { class: "verb" }, fact.relation.label, h("span", { "aria-hidden": "true" }, " →")), thing(fact.tail),
    h("div", { class: "row" }, sureness(fact),
      h("button", { class: "quiet", "aria-label": `Why ${fact.head.label} ${fact.relation.label} ${fact.tail.label}?`, onclick: () => openWhy({ head: fact.head.name, relation: fact.relation.name, tail: fact.tail.name, side: "tail" }) }, "Why?")))));
}

const thing = (entity) => h("a", { class: "thing", href: address("ask", { entity: entity.name }) }, picture(entity, { decorative: true }), h("span", {}, entity.label));
