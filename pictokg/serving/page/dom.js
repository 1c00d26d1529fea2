// Elements from data. Text is always set as text, never as markup.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

export function say(words) {
  byId("said").textContent = words;
}

export function percent(probability) {
  if (probability >= 0.995) return probability >= 0.9995 ? "> 99.9 %" : `${(probability * 100).toFixed(1)} %`;
  return probability < 0.01 ? "< 1 %" : `${Math.round(probability * 100)} %`;
}

export function number(value, digits = 2) {
  return value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits }).replace("-", "−");
}

export const count = (value, one, many = `${one}s`) => `${value.toLocaleString("en")} ${value === 1 ? one : many}`;

// A place for what is fetched: a skeleton while it is awaited, an error with its remedy where it fails. Only the
// latest request of a place may fill it, so that a slow answer never replaces a newer one.
const latest = new WeakMap();

export async function fill(place, work, { skeletons = 0, announce } = {}) {
  const turn = Symbol("turn");
  latest.set(place, turn);
  place.setAttribute("aria-busy", "true");
  const wait = setTimeout(() => {
    if (latest.get(place) === turn) place.replaceChildren(...Array.from({ length: skeletons }, () => h("div", { class: "skeleton" })));
  }, 150);
  let made;
  try {
    made = await work();
  } catch (error) {
    made = problem(error);
  }
  clearTimeout(wait);
  if (latest.get(place) !== turn) return;
  place.removeAttribute("aria-busy");
  place.replaceChildren(...[made].flat(3).filter(Boolean));
  if (announce) say(announce());
}

export function problem(error) {
  const nearest = error.nearest?.length ? h("p", {}, "Perhaps: ", error.nearest.join(", ")) : null;
  return h("div", { class: "state problem", role: "alert" }, h("strong", {}, error.title ?? "Something went wrong"), h("p", {}, error.message), nearest);
}

export const empty = (title, ...words) => h("div", { class: "state" }, h("strong", {}, title), h("p", {}, ...words));
