// Edits on their way to the station: each is made in its turn, and none is lost while another is made.

const TRIES = 8; // of an edit while the station is busy

export class Edits {
  /** `send(edit)` sends one and returns the promise of its id; `gaveUp(edit)` where the station stays busy. */
  constructor(send, gaveUp) {
    this.send = send;
    this.gaveUp = gaveUp;
    this.waiting = []; // the first is the one that the station works on
  }

  get current() {
    return this.waiting[0] ?? null;
  }

  add(edit) {
    this.waiting.push({ ...edit, tries: TRIES });
    if (this.waiting.length === 1) this.begin();
  }

  async begin() {
    const edit = this.current;
    if (edit) edit.id = await this.send(edit);
  }

  isCurrent = (id) => id !== undefined && this.current?.id === id;

  /** The edit of an answer, which is finished: the next one begins. Null where it is none of these. */
  finish(id) {
    if (!this.isCurrent(id)) return null;
    const edit = this.waiting.shift();
    this.begin();
    return edit;
  }

  /** Try the current edit again, as the station is busy; whether it does. */
  again({ id, retry_after }) {
    if (!this.isCurrent(id)) return false;
    const edit = this.current;
    edit.id = undefined;
    if (!edit.tries--) {
      this.waiting.shift();
      this.gaveUp(edit);
      this.begin();
      return false;
    }
    this.timer = setTimeout(() => this.current === edit && this.begin(), retry_after * 1000);
    return true;
  }

  /** Forget all of them; what was forgotten. */
  clear() {
    clearTimeout(this.timer);
    const all = this.waiting;
    this.waiting = [];
    return all;
  }
}
