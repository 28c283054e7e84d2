// The station's API: HTTP for pictures, a WebSocket for previews and edits.

import { t } from "./words.js";

const PING = 400; // milliseconds between questions whether the station is there
const SILENCE = 1500; // without any answer, after which it counts as lost
const DEAD = 8000; // after which another connection is tried
const MAX_PENDING = 2; // previews: one is made while another is drawn
const TRIES = 5; // of a call while the station is busy
const decoder = new TextDecoder();

/** An error that the station answered; `status` 0 where there was no answer. */
export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** An error in the page's language; `keys` are the texts of statuses that mean something particular here. */
export function errorText(error, keys = {}) {
  const known = { 0: "error_offline", 503: "error_busy", ...keys };
  return t((error instanceof ApiError && known[error.status]) || "error_failed");
}

/** The token that the page's address carries (/#token=...), kept for this tab. */
export function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem("token");
}

/** One HTTP call, repeated while the station is busy, after the time that it names. */
export async function call(method, path, { body, type, secret = token(), tries = TRIES, progress } = {}) {
  const headers = {};
  if (secret) headers.Authorization = `Bearer ${secret}`;
  if (type) headers["Content-Type"] = type;
  let answer;
  try {
    answer = await (progress ? upload(method, path, headers, body, progress) : fetch(path, { method, headers, body }));
  } catch {
    throw new ApiError(0, "no connection");
  }
  if (answer.status === 503 && tries > 1) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * (answer.headers.get("Retry-After") ?? 1)));
    return call(method, path, { body, type, secret, tries: tries - 1, progress });
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new ApiError(answer.status, problem.detail ?? answer.statusText);
  }
  return answer;
}

/** A fetch that reports which share of the body is sent; `fetch` itself cannot. */
function upload(method, path, headers, body, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.responseType = "blob";
    request.upload.onprogress = ({ loaded, total }) => progress(loaded / total);
    request.onload = () => {
      const wait = request.getResponseHeader("Retry-After");
      resolve(new Response(request.response, { status: request.status, headers: wait ? { "Retry-After": wait } : {} }));
    };
    request.onerror = reject;
    request.send(body);
  });
}

/** One visitor's session over HTTP. */
export class Session {
  constructor(name) {
    this.name = name;
    this.path = `api/sessions/${name}`;
  }

  static async begin() {
    return new Session((await (await call("POST", "api/sessions")).json()).session);
  }

  look = async () => (await call("GET", this.path)).json();
  end = () => call("DELETE", this.path);
  openPhoto = async (file, progress) => (await call("PUT", `${this.path}/photo`, { body: file, type: file.type, progress })).json();
  view = async (original = false) => (await call("GET", `${this.path}/view?original=${original}`)).blob();
  picture = async (format) => (await call("GET", `${this.path}/picture?format=${format}`)).blob();
  mask = async (use = "area") => (await call("GET", `${this.path}/mask?use=${use}`)).blob();
  putMask = (file, use = "area") => call("PUT", `${this.path}/mask?use=${use}`, { body: file, type: "image/png" });
  dropMask = (use = "area") => call("DELETE", `${this.path}/mask?use=${use}`);
}

/** A binary frame: its header, with the bytes behind it as `payload`. */
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  return { ...header, payload: buffer.slice(4 + length) };
}

/** The session's WebSocket. `on` maps the types of messages to functions, and "closed" to one of the close code. */
export class Live {
  constructor(session, on) {
    this.on = on;
    this.number = 0;
    this.pending = []; // ids of previews under way
    this.asked = new Map(); // when each of them was asked for
    this.next = null; // the request to be sent next
    const protocols = ["edgedrag", ...(token() ? [`bearer.${token()}`] : [])];
    const address = new URL(`${session.path}/live`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address, protocols);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.take(typeof event.data === "string" ? JSON.parse(event.data) : unpack(event.data));
    this.socket.onclose = (event) => {
      clearInterval(this.watching);
      this.on.closed?.(event.code);
    };
    this.heard = performance.now();
    this.watching = setInterval(() => this.watch(), PING);
    this.ready = new Promise((resolve) => {
      this.socket.onopen = resolve;
      this.socket.addEventListener("close", resolve); // which opens another one
    });
  }

  get open() {
    return this.socket.readyState === WebSocket.OPEN && !this.lost;
  }

  /** Ask whether the station is there, and say so when that changes. */
  watch() {
    this.send("ping");
    const silent = performance.now() - this.heard;
    if (silent > DEAD) {
      clearInterval(this.watching);
      this.socket.onclose = null; // a close that nobody answers takes long
      this.socket.close();
      return this.on.closed?.(0);
    }
    this.tell(silent > SILENCE);
  }

  tell(lost) {
    if (this.lost === lost) return;
    this.lost = lost;
    this.on.lost?.(lost);
  }

  send(type, rest = {}) {
    this.number += 1;
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type, id: this.number, ...rest }));
    return this.number;
  }

  /** Request a preview; while enough are pending, the newest request waits and replaces older ones. */
  preview(request) {
    if (this.pending.length >= MAX_PENDING) return void (this.next = request);
    const id = this.send("preview", request);
    this.pending.push(id);
    this.asked.set(id, performance.now());
  }

  /** Ignore the previews that are pending. */
  dropPreviews() {
    this.next = null;
    this.pending = [];
    this.asked.clear();
  }

  take(message) {
    this.heard = performance.now();
    this.tell(false);
    const known = this.pending.indexOf(message.id);
    if (message.type === "preview" && known < 0) return;
    if (known >= 0) {
      message.asked = this.asked.get(message.id);
      for (const id of this.pending.slice(0, known + 1)) this.asked.delete(id);
      this.pending.splice(0, known + 1); // answers come in order; one that was replaced comes as "cancelled"
      if (this.next) [this.next] = [null, this.preview(this.next)];
    }
    this.on[message.type]?.(message);
  }

  close() {
    this.on = {};
    clearInterval(this.watching);
    this.socket.close();
  }
}
