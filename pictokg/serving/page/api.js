// The service, as functions; errors have words for people.

import { byId } from "./dom.js";

export class Problem extends Error {
  constructor(title, detail, nearest = []) {
    super(detail);
    this.title = title;
    this.nearest = nearest;
  }
}

const token = () => sessionStorage.getItem("token");

let door = null;
function askForToken() {
  door ??= new Promise((resolve) => {
    const dialog = byId("door");
    dialog.addEventListener("close", () => {
      sessionStorage.setItem("token", byId("token").value);
      door = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return door;
}

async function call(path, options = {}) {
  let response;
  try {
    const headers = { ...options.headers, ...(token() ? { Authorization: `Bearer ${token()}` } : {}) };
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Problem("The service does not answer", "Is pictokg serve still running?");
  }
  if (response.status === 401) {
    sessionStorage.removeItem("token");
    await askForToken();
    return call(path, options);
  }
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Problem(said.title ?? `Error ${response.status}`, said.detail ?? "", said.nearest);
  }
  return response;
}

export function query(parameters) {
  const made = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") made.append(name, value);
  }
  return made.toString();
}

export async function get(path, parameters = {}, options = {}) {
  return (await call(`${path}?${query(parameters)}`, options)).json();
}

export async function send(path, form) {
  return (await call(path, { method: "POST", body: form })).json();
}

// A picture's address: its own where no token is asked for, else one of this tab, for pictures cannot send a token.
export async function pictureAddress(parameters) {
  const address = `/images?${query(parameters)}`;
  if (!token()) return address;
  return URL.createObjectURL(await (await call(address)).blob());
}
