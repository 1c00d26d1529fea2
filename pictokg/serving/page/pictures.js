// Pictures of entities; a tile with a letter where there is none.

import { pictureAddress } from "./api.js";
import { h } from "./dom.js";
import { state } from "./state.js";

export function image(entity, { number = 0, size = 256, run = state.run, alt } = {}) {
  const shown = h("img", { alt: alt ?? `Picture of ${entity.label}`, loading: "lazy", decoding: "async" });
  shown.addEventListener("error", () => shown.replaceWith(tile(entity)), { once: true });
  pictureAddress({ run, entity: entity.name, number, size }).then(
    (address) => { shown.src = address; },
    () => shown.replaceWith(tile(entity)),
  );
  return shown;
}

function tile(entity) {
  const letter = [...entity.label.trim()].find((sign) => /\p{L}|\p{N}/u.test(sign)) ?? "?";
  return h("span", { class: "tile", "aria-hidden": "true" }, letter.toLocaleUpperCase());
}

export function picture(entity, { size = 256, small = false, decorative = false, number = 0, run } = {}) {
  const inside = entity.pictures ? image(entity, { size, number, run, alt: decorative ? "" : undefined }) : tile(entity);
  return h("span", { class: small ? "picture small" : "picture" }, inside);
}
