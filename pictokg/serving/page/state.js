// Where we are, in the address: #view?name=value. Going back is going back in the browser.

import { query, get } from "./api.js";

export const state = { runs: [], run: null, relations: new Map() };

export function here() {
  const [view, words = ""] = location.hash.slice(1).split("?", 2);
  return { view: view || "ask", parameters: Object.fromEntries(new URLSearchParams(words)) };
}

export function address(view, parameters = {}) {
  const words = query(parameters);
  return `#${view}${words ? `?${words}` : ""}`;
}

export function go(view, parameters) {
  const next = address(view, parameters);
  if (next === location.hash) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = next;
}

export async function relationsOf(run) {
  if (!state.relations.has(run)) state.relations.set(run, (await get("/relations", { run })).relations);
  return state.relations.get(run);
}
