// Why: what structure, pictures and words added to a score, as bars and as heat on the pictures.

import { get } from "./api.js";
import { byId, fill, h, number, percent } from "./dom.js";
import { image } from "./pictures.js";
import { state } from "./state.js";

const KINDS = { structure: "its known facts", text: "its words", image: "picture", numeric: "its numbers" };

export function openWhy(triple, run = state.run) {
  const dialog = byId("why");
  const body = h("div", { class: "reasons" });
  dialog.replaceChildren(
    h("header", {}, h("h2", { id: "why-title" }, "Why this answer"), h("button", { class: "quiet", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    body);
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  if (!dialog.open) dialog.showModal();
  const { head, relation, tail, side } = triple;
  fill(body, async () => reasons(await get("/explain", { head, relation, tail, side, run }), run), { skeletons: 2 });
}

function reasons(found, run) {
  const { head, relation, tail } = found.labels;
  const facts = [found.probability === null ? null : `${percent(found.probability)} sure`, `place ${found.rank.toLocaleString("en")} of ${found.entities.toLocaleString("en")}`, `score ${number(found.score)}`, found.known ? "known to the graph" : "new"];
  return [
    h("p", { class: "sentence" }, h("strong", {}, head), ` ${relation} `, h("strong", {}, tail)),
    h("p", { class: "note" }, facts.filter(Boolean).join(" · ")),
    h("div", { class: "sides" }, side(found.asked, "The answer", run), side(found.given, "The question", run)),
    found.heat ? h("p", { class: "note" }, found.heat) : null,
    looks(found, run),
    found.facts.length ? [h("h3", {}, "Known facts most like it"), h("ul", { class: "like" }, found.facts.map((fact) => h("li", {}, `${fact.head_label} `, h("small", {}, relation), ` ${fact.tail_label}`, h("span", { class: "figure" }, `${Math.round(fact.similarity * 100)} % alike`))))] : null,
  ];
}

function side(parts, title, run) {
  const entity = { name: parts.entity, label: parts.label, pictures: parts.pictures };
  const most = Math.max(...parts.contributions.map((one) => Math.abs(one.value)), 1e-9);
  const shown = parts.contributions.slice(0, 8);
  const rest = parts.contributions.slice(8).reduce((sum, one) => sum + one.value, 0);
  const heated = parts.contributions.filter((one) => one.picture !== null && one.picture !== undefined).slice(0, 4);
  return h("section", { class: "side" },
    h("h3", {}, title, ": ", h("span", {}, parts.label)),
    heated.length ? h("div", { class: "heats" }, heated.map((one) => heat(entity, one, one.attention === null ? signed(one.value) : `${signed(one.value)} · attention ${percent(one.attention)}`, run))) : null,
    shown.length
      ? h("ul", { class: "parts" }, shown.map((one) => bar(words(one), one.value, most)), parts.contributions.length > 8 ? bar(`${parts.contributions.length - 8} more together`, rest, most) : null)
      : h("p", {}, "Nothing but its learned vector counts here."),
    h("p", { class: "note" }, `Together ${signed(parts.difference)} on a score of ${number(parts.baseline)} with nothing known of it`, parts.method === "sampled" ? ", estimated." : "."));
}

// What the sampler of the training looked at, which is no reason: it stands apart, and says so.
function looks(found, run) {
  if (!found.sampler_attention) return null;
  const seen = [found.asked, found.given].filter((parts) => parts.sampler_attention.length);
  return [
    h("h3", {}, "What the sampler looked at"),
    seen.length ? h("div", { class: "sides" }, seen.map((parts) => look(parts, run))) : null,
    h("p", { class: "note" }, found.sampler_attention),
  ];
}

function look(parts, run) {
  const entity = { name: parts.entity, label: parts.label, pictures: parts.pictures };
  const slots = parts.sampler_attention.flatMap(owners).sort((one, other) => other.weight - one.weight);
  const pictures = slots.filter((one) => one.picture !== null).slice(0, 4);
  const shown = slots.slice(0, 8);
  if (slots.length > 8) shown.push(together(`${slots.length - 8} more together`, null, slots.slice(8)));
  return h("section", { class: "side" },
    h("h3", {}, h("span", {}, parts.label)),
    pictures.length ? h("div", { class: "heats" }, pictures.map((one) => heat(entity, one, signedShare(one.guided), run))) : null,
    h("table", { class: "looks" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "seen"), h("th", { scope: "col" }, "in general"), h("th", { scope: "col" }, "by this relation"))),
      h("tbody", {}, shown.map((one) => h("tr", {}, h("th", { scope: "row" }, one.label), h("td", {}, share(one.independent)), h("td", {}, signedShare(one.guided)))))));
}

// The slots of one picture together, its windows as heat; sentences each by itself.
function owners(attention) {
  const found = new Map();
  for (const slot of attention.slots) {
    const label = slot.picture !== null ? `picture ${slot.picture + 1}` : KINDS[slot.key] ?? (slot.key || "empty slots");
    found.set(label, [...(found.get(label) ?? []), slot]);
  }
  return [...found].map(([label, slots]) => together(label, slots[0].picture, slots));
}

function together(label, picture, slots) {
  const sum = (name) => slots.reduce((total, slot) => total + slot[name], 0);
  const windows = slots.filter((slot) => slot.window).map((slot) => ({ top: slot.window[0], left: slot.window[1], height: slot.window[2], width: slot.window[3], value: slot.guided }));
  const [independent, guided] = [sum("independent"), sum("guided")];
  return { label, picture, independent, guided, weight: independent + Math.abs(guided), patches: windows };
}

const share = (value) => `${Math.round(value * 100)} %`;
const signedShare = (value) => `${value < 0 ? "−" : "+"}${share(Math.abs(value))}`;
const signed = (value) => `${value < 0 ? "−" : "+"}${number(Math.abs(value))}`;

function words(one) {
  if (one.picture !== null && one.picture !== undefined) return `picture ${one.picture + 1}`;
  return KINDS[one.modality] ?? `${one.modality} ${one.key}`;
}

function bar(label, value, most) {
  const length = h("span", { class: value < 0 ? "against" : "for" });
  length.style.width = `${(Math.abs(value) / most) * 100}%`;
  return h("li", {}, h("span", { class: "label" }, label), h("span", { class: "length", "aria-hidden": "true" }, length), h("span", { class: "figure" }, signed(value)));
}

// Warm where a window of the picture speaks for the answer, cold where it speaks against it.
function heat(entity, one, caption, run) {
  const words = `Picture ${one.picture + 1} of ${entity.label}, ${caption}`;
  const canvas = h("canvas", { width: 256, height: 256, "aria-hidden": "true" });
  const strongest = Math.max(...one.patches.map((patch) => Math.abs(patch.value)), 1e-9);
  const brush = canvas.getContext("2d");
  for (const patch of one.patches) {
    const strength = Math.abs(patch.value) / strongest;
    brush.fillStyle = patch.value < 0 ? `rgb(40 110 230 / ${0.65 * strength})` : `rgb(240 110 20 / ${0.7 * strength})`;
    brush.fillRect(Math.floor(patch.left * 256), Math.floor(patch.top * 256), Math.ceil(patch.width * 256), Math.ceil(patch.height * 256));
  }
  const frame = h("span", { class: "heat" }, image(entity, { number: one.picture, alt: words, run }), canvas);
  return h("figure", {}, frame, h("figcaption", {}, caption));
}
