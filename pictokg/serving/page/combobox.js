// Search as you type: an input with a list of entities, by the ARIA pattern of a combobox.

import { get } from "./api.js";
import { h, say, count } from "./dom.js";
import { picture } from "./pictures.js";
import { state } from "./state.js";

let serial = 0;

export function entityBox({ label, value = "", placeholder = "Search a name …", choose }) {
  const id = `box-${++serial}`;
  const list = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": label, class: "options", hidden: true });
  const input = h("input", {
    id, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", placeholder, maxlength: 200,
    "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list",
  });
  input.value = value;
  let found = [], active = -1, turn = 0, wait;

  const close = () => {
    turn++;
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const mark = (place) => {
    active = place;
    [...list.children].forEach((option, other) => option.setAttribute("aria-selected", String(other === place)));
    if (place < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", list.children[place].id);
      list.children[place].scrollIntoView({ block: "nearest" });
    }
  };

  const take = (entity) => {
    input.value = entity.label;
    close();
    choose(entity);
  };

  const show = (entities) => {
    found = entities;
    list.replaceChildren(...found.map((entity, place) =>
      h("li", { id: `${id}-${place}`, role: "option", "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => take(entity) },
        picture(entity, { size: 96, small: true, decorative: true }),
        h("span", { class: "what" }, h("span", {}, entity.label), h("small", {}, entity.name === entity.label ? count(entity.facts, "fact") : `${entity.name} · ${count(entity.facts, "fact")}`)))));
    if (!found.length) list.append(h("li", { class: "nothing", role: "option", "aria-disabled": "true", "aria-selected": "false" }, "No entity has this in its name"));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(found.length ? 0 : -1);
    say(found.length ? count(found.length, "entity found", "entities found") : "No entity found");
  };

  const search = async () => {
    const own = ++turn;
    if (!input.value.trim()) return close();
    try {
      const { entities } = await get("/search", { q: input.value, limit: 12, run: state.run });
      if (own === turn) show(entities);
    } catch (error) {
      if (own === turn) say(error.message);
    }
  };

  input.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(search, 80);
  });
  input.addEventListener("focus", () => input.select());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      event.preventDefault();
      if (list.hidden) search();
      else if (found.length) mark((active + steps[event.key] + found.length) % found.length);
    } else if (event.key === "Enter" && !list.hidden && active >= 0) {
      event.preventDefault();
      take(found[active]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  });
  return h("div", { class: "field box" }, h("label", { for: id }, label), input, list);
}
