// An entity's card, and answers as cards.

import { h, percent, number, count } from "./dom.js";
import { image, picture } from "./pictures.js";
import { address } from "./state.js";
import { openWhy } from "./why.js";

export const chip = (known) => h("span", { class: known ? "chip known" : "chip new" }, known ? "known" : "new");

export function sureness(answer) {
  if (answer.probability === null || answer.probability === undefined) {
    return h("span", { class: "sure" }, h("small", {}, "score "), number(answer.score));
  }
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span"));
  bar.firstChild.style.width = `${Math.max(2, answer.probability * 100)}%`;
  return h("span", { class: "sure" }, bar, h("span", {}, percent(answer.probability)));
}

export function answerCard(answer, place, triple, { run, note } = {}) {
  const entity = triple.side !== "relation";
  const name = entity ? h("a", { href: address("ask", { entity: answer.name }) }, answer.label) : h("span", {}, answer.label);
  return h("li", { class: "answer" },
    entity ? picture(answer, { decorative: true, run }) : null,
    h("div", { class: "words" },
      h("div", { class: "title" }, h("span", { class: "place" }, `${place}`), name),
      answer.name !== answer.label ? h("small", { class: "name" }, answer.name) : null,
      h("div", { class: "row" }, sureness(answer), chip(answer.known), note ?? null),
      entity ? h("button", { class: "quiet", "aria-label": `Why ${answer.label}?`, onclick: () => openWhy(filled(triple, answer), run) }, "Why?") : null));
}

function filled(triple, answer) {
  return { ...triple, [triple.side]: answer.name };
}

export function entityCard(card) {
  const shown = Math.min(card.pictures, 12);
  const strip = shown
    ? h("div", { class: "strip" }, Array.from({ length: shown }, (_, place) => h("span", { class: "picture" }, image(card, { number: place, alt: `Picture ${place + 1} of ${card.label}` }))))
    : h("div", { class: "strip" }, picture(card, {}));
  return h("article", { class: "entity", "aria-label": card.label },
    strip,
    h("h2", {}, card.label),
    card.name !== card.label ? h("small", { class: "name" }, card.name) : null,
    card.description ? h("p", { class: "description" }, card.description) : null,
    facts(card));
}

function facts(card) {
  const total = card.as_head_total + card.as_tail_total;
  if (!total) return h("p", {}, "The graph has no fact of it.");
  const shown = card.as_head.length + card.as_tail.length;
  const groups = [...group(card.as_head, "tail", (label) => label), ...group(card.as_tail, "head", (label) => `${label} of`)];
  return h("details", { class: "facts", open: matchMedia("(min-width: 46rem)").matches },
    h("summary", {}, `${count(total, "known fact")}${shown < total ? `, ${shown} shown` : ""}`),
    h("dl", {}, groups));
}

function group(triples, side, words) {
  const found = new Map();
  for (const triple of triples) {
    const name = triple.relation.name;
    if (!found.has(name)) found.set(name, { label: triple.relation.label, others: [] });
    found.get(name).others.push(triple[side]);
  }
  return [...found.values()].map(({ label, others }) => h("div", {},
    h("dt", {}, side === "tail" ? words(label) : h("span", {}, "← ", label)),
    h("dd", {}, others.slice(0, 8).map((other) => h("a", { class: "pill", href: address("ask", { entity: other.name }) }, other.pictures ? picture(other, { size: 96, small: true, decorative: true }) : null, other.label)),
      others.length > 8 ? h("small", {}, ` and ${others.length - 8} more`) : null)));
}
