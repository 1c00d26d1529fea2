// Ask: an entity, its card, a question about it, and the answers.

import { get } from "./api.js";
import { answerCard, entityCard } from "./cards.js";
import { count, empty, fill, h } from "./dom.js";
import { picture } from "./pictures.js";
import { questionBar } from "./question.js";
import { address, go, relationsOf, state } from "./state.js";

export async function ask(view, asked) {
  const bar = h("div");
  const card = h("div", { class: "beside" });
  const answers = h("section", { class: "answers", "aria-label": "Answers" });
  const columns = h("div", { class: asked.entity ? "columns" : "" }, asked.entity ? card : null, answers);
  view.replaceChildren(
    asked.entity ? h("h1", { class: "unseen" }, "Ask") : h("div", { class: "hello" }, h("h1", {}, "Ask the graph what it does not say"), h("p", {}, "Find an entity, pick a relation. Answers come from what was learned of facts, pictures and words, each with how sure it is and why.")),
    bar, columns);
  fill(bar, () => questionBar(asked, (next) => go("ask", next)));
  if (!asked.entity) return fill(answers, examples, { skeletons: 6 });
  const loaded = get("/entities", { name: asked.entity, run: state.run }).then(({ cards }) => cards[0]);
  fill(card, async () => entityCard(await loaded), { skeletons: 1 });
  if (!asked.relation) return fill(answers, async () => suggestions(await loaded, asked));
  return fill(answers, () => answersTo(asked, loaded), { skeletons: 6, announce: () => "Answers are shown" });
}

async function answersTo(asked, loaded) {
  const side = asked.side === "head" ? "head" : "tail";
  const given = side === "tail" ? "head" : "tail";
  const parameters = { [given]: asked.entity, relation: asked.relation, k: asked.k ?? 12, new_only: asked.new ?? false, fitting: asked.fitting ?? false, run: state.run };
  const [{ answers }, entity] = await Promise.all([get("/answers", parameters), loaded]);
  const relations = await relationsOf(state.run);
  const label = relations.find((relation) => relation.name === asked.relation)?.label ?? asked.relation;
  const toggle = (name, words) => h("label", { class: "check" }, h("input", { type: "checkbox", checked: asked[name] === "true", onchange: (event) => go("ask", { ...asked, [name]: event.target.checked ? "true" : "" }) }), words);
  const triple = { [given]: asked.entity, relation: asked.relation, side };
  return [
    h("div", { class: "over" }, h("h2", {}, side === "tail" ? `${entity.label} ${label} …` : `… ${label} ${entity.label}`), h("div", { class: "checks" }, toggle("new", "only new"), toggle("fitting", "only what fits the relation"))),
    answers.length ? h("ol", { class: "cards" }, answers.map((answer, place) => answerCard(answer, place + 1, triple))) : empty("No answer is left", "Everything that could be said is known already, or does not fit. Take the limits off."),
    answers.length >= Number(asked.k ?? 12) ? h("p", { class: "more" }, h("a", { href: address("ask", { ...asked, k: Math.min(1000, Number(asked.k ?? 12) * 2) }) }, "More answers")) : null,
    answers.some((answer) => answer.probability !== null) ? h("p", { class: "note" }, "A percentage is how often such a fact is true among true facts and as many unknown ones of the same relation.") : null,
  ];
}

function suggestions(card, asked) {
  if (!card.questions.length) return empty("Pick a relation", "The graph has no fact of it to learn from; any relation may be asked.");
  return [
    h("h2", {}, "What do you want to know?"),
    h("p", {}, "Relations it has already, to check what it knows, or any other from the list above."),
    h("ul", { class: "pills" }, card.questions.slice(0, 40).map((open) => h("li", {},
      h("a", { class: "pill large", href: address("ask", { ...asked, relation: open.relation.name, side: open.side }) }, open.side === "tail" ? `${open.relation.label} ?` : `? ${open.relation.label}`)))),
  ];
}

async function examples() {
  const { total, entities } = await get("/entities", { limit: 500, run: state.run });
  const pictured = entities.filter((entity) => entity.pictures);
  const pool = pictured.length >= 12 ? pictured : [...pictured, ...entities.filter((entity) => !entity.pictures)];
  const step = Math.max(1, Math.floor(pool.length / 12));
  const shown = pool.filter((_, place) => place % step === 0).slice(0, 12);
  if (!shown.length) return empty("The graph is empty", "It has no entities to ask about.");
  return [
    h("h2", {}, "Or begin with one of these"),
    h("ul", { class: "gallery" }, shown.map((entity) => h("li", {}, h("a", { href: address("ask", { entity: entity.name }) },
      picture(entity, { decorative: true }), h("span", {}, entity.label), h("small", {}, count(entity.facts, "fact")))))),
    h("p", { class: "note" }, `${count(total, "entity", "entities")} in all. Press / to search.`),
  ];
}
