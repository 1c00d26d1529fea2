// New entity: pictures and words of an entity that nobody has seen, and what can be said of it at once.

import { send } from "./api.js";
import { sureness } from "./cards.js";
import { byId, count, empty, fill, h, say } from "./dom.js";
import { picture } from "./pictures.js";
import { address, relationsOf, state } from "./state.js";

const MOST = 8;

export async function newcomer(view) {
  let files = [];
  const results = h("section", { class: "answers", "aria-label": "What can be said of it" }, empty("Nothing here yet", "Give pictures, words, or both, and ask."));
  const previews = h("ul", { class: "previews" });
  const input = h("input", { id: "pictures", type: "file", accept: "image/*", multiple: true, onchange: () => { add(input.files); input.value = ""; } });
  const drop = h("div", { class: "drop" }, h("label", { for: "pictures" }, h("strong", {}, "Choose pictures"), " or drop them here"), input, previews);
  const runs = state.runs.find((run) => run.name === state.run);
  const reads = (modality) => runs?.modalities.includes(modality);

  function add(given) {
    const pictures = [...given].filter((file) => file.type.startsWith("image/"));
    files = [...files, ...pictures].slice(0, MOST);
    say(count(files.length, "picture chosen", "pictures chosen"));
    draw();
  }

  function draw() {
    for (const shown of previews.querySelectorAll("img")) URL.revokeObjectURL(shown.src);
    previews.replaceChildren(...files.map((file, place) => h("li", {}, h("img", { src: URL.createObjectURL(file), alt: `Chosen picture ${place + 1}` }),
      h("button", { type: "button", class: "remove", "aria-label": `Remove picture ${place + 1}`, onclick: () => { files.splice(place, 1); draw(); } }, "✕"))));
  }

  for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", over);
      if (kind === "drop") add(event.dataTransfer.files);
    });
  }

  const relations = await relationsOf(state.run);
  const form = h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); submit(); } },
    reads("image") ? drop : h("p", { class: "note" }, "This run does not read pictures."),
    reads("text") ? [h("div", { class: "field" }, h("label", { for: "label" }, "What is it called?"), h("input", { id: "label", maxlength: 200, autocomplete: "off" })),
      h("div", { class: "field" }, h("label", { for: "text" }, "Describe it"), h("textarea", { id: "text", rows: 4, maxlength: 5000 }))] : h("p", { class: "note" }, "This run does not read words."),
    h("div", { class: "field" }, h("label", { for: "about" }, "What do you want to know?"),
      h("select", { id: "about" }, h("option", { value: "" }, "Everything it can tell"), relations.map((relation) => h("option", { value: relation.name }, relation.label)))),
    h("button", { class: "primary", disabled: !reads("image") && !reads("text") }, "Ask"),
    h("p", { class: "note" }, "It is looked at in memory, answered and forgotten."));

  function submit() {
    const body = new FormData();
    files.forEach((file) => body.append("pictures", file));
    for (const name of ["label", "text"]) if (byId(name)) body.append(name, byId(name).value);
    const about = byId("about").value;
    body.append("questions", JSON.stringify(about ? [{ relation: about, side: "tail" }] : []));
    body.append("options", JSON.stringify({ run: state.run, k: about ? 12 : 3 }));
    fill(results, async () => told(await send("/newcomers", body)), { skeletons: 4, announce: () => "Answers are shown" });
  }

  view.replaceChildren(h("div", { class: "hello" }, h("h1", {}, "Introduce something new"), h("p", {}, "An entity that the graph has never seen, by its pictures and words alone.")), h("div", { class: "columns" }, h("div", { class: "beside" }, form), results));
}

function told({ questions }) {
  if (!questions.length) return empty("Nothing to say", "No relation has an answer that fits.");
  return h("ul", { class: "told" }, questions.map((question) => h("li", {}, h("h3", {}, question.relation.label),
    h("ol", {}, question.answers.map((answer) => h("li", {}, h("a", { class: "thing", href: address("ask", { entity: answer.name }) }, picture(answer, { size: 96, small: true, decorative: true }), h("span", {}, answer.label)), sureness(answer)))))));
}
