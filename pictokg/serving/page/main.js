// The page: which view is shown, for which run.

import { get } from "./api.js";
import { ask } from "./ask.js";
import { compare } from "./compare.js";
import { byId, count, h, problem } from "./dom.js";
import { facts } from "./facts.js";
import { newcomer } from "./newcomer.js";
import { here, state } from "./state.js";

const VIEWS = { ask, facts, newcomer, compare };
const TITLES = { ask: "Ask", facts: "New facts", newcomer: "New entity", compare: "Compare" };

async function show() {
  const { view, parameters } = here();
  const name = view in VIEWS ? view : "ask";
  document.title = `${TITLES[name]} · PictoKG`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("why").close();
  const place = byId("view");
  try {
    await VIEWS[name](place, parameters);
  } catch (error) {
    place.replaceChildren(problem(error));
  }
}

function about() {
  const run = state.runs.find((one) => one.name === state.run);
  byId("about").replaceChildren(h("span", {}, `${run.data} · ${count(run.entities, "entity", "entities")} · ${count(run.relations, "relation")} · ${count(run.facts, "known fact")}`), h("span", {}, `model ${run.model}, learned from ${["facts", ...run.modalities].join(", ")}`), h("a", { href: "/openapi.json" }, "OpenAPI"));
}

function chooseRuns() {
  const select = byId("run");
  select.replaceChildren(...state.runs.map((run) => h("option", { value: run.name }, run.name)));
  select.closest("label").hidden = state.runs.length < 2;
  select.addEventListener("change", () => {
    state.run = select.value;
    about();
    show();
  });
}

addEventListener("hashchange", async () => {
  await show();
  scrollTo(0, 0);
});

addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = document.querySelector("[role=combobox]");
  if (!box) return;
  event.preventDefault();
  box.focus();
});

try {
  state.runs = (await get("/health")).runs;
  state.run = state.runs[0].name;
  chooseRuns();
  about();
  await show();
} catch (error) {
  byId("view").replaceChildren(problem(error));
}
