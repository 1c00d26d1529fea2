// A question as a sentence: an entity, a relation, and what is asked for.

import { get } from "./api.js";
import { entityBox } from "./combobox.js";
import { h } from "./dom.js";
import { relationsOf, state } from "./state.js";

export async function questionBar(asked, change) {
  const relations = await relationsOf(state.run);
  const label = asked.entity ? await labelOf(asked.entity) : "";
  const side = asked.side === "head" ? "head" : "tail";
  const box = entityBox({
    label: "Entity", value: label, placeholder: "Search a name …",
    choose: (entity) => change({ ...asked, entity: entity.name }),
  });
  const chosen = h("select", { id: "relation", onchange: () => change({ ...asked, relation: chosen.value }) },
    h("option", { value: "" }, "Choose a relation …"),
    relations.map((relation) => h("option", { value: relation.name }, relation.label)));
  chosen.value = asked.relation ?? "";
  const relation = h("div", { class: "field" }, h("label", { for: "relation" }, "Relation"), chosen);
  const swap = h("button", {
    class: "swap", type: "button", "aria-label": "Swap: ask for the other side of the relation", title: "Ask for the other side",
    onclick: () => change({ ...asked, side: side === "tail" ? "head" : "tail" }),
  }, "⇄");
  const open = h("div", { class: "field open", "aria-label": side === "tail" ? "The tail is asked for" : "The head is asked for", role: "img" }, "?");
  const order = side === "tail" ? [box, relation, open] : [open, relation, box];
  return h("div", { class: "question", role: "search" }, order, swap);
}

export async function labelOf(name) {
  const { cards } = await get("/entities", { name, run: state.run });
  return cards[0].label;
}
