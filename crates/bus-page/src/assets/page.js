// What the page does beyond links and forms. Everything works without it.
"use strict";

// Fragments that have changed are fetched with the page that is shown, so a filter is evaluated where it belongs.
const Live = {
  stream: null,
  waiting: new Set(),
  fetching: false,

  start(address) {
    const open = () => {
      if (this.stream || document.hidden) return;
      this.stream = new EventSource(address);
      this.stream.addEventListener("changed", (event) => this.changed(event.data.split(" ")));
      // The sign-in has ended: the page says so when it is loaded again.
      this.stream.addEventListener("ended", () => location.reload());
    };
    const close = () => {
      this.stream?.close();
      this.stream = null;
    };
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return close();
      this.changed(["*"]);
      open();
    });
    addEventListener("pagehide", close);
    open();
  },

  changed(topics) {
    for (const topic of topics) this.waiting.add(topic);
    this.fetch();
  },

  concerns(fragment) {
    const topics = fragment.dataset.topics.split(" ");
    return this.waiting.has("*") || topics.some((topic) => this.waiting.has(topic));
  },

  async fetch() {
    if (this.fetching) return;
    const old = [...document.querySelectorAll("[data-topics]")].filter((part) => this.concerns(part));
    this.waiting.clear();
    if (old.length === 0) return;
    this.fetching = true;
    try {
      const answer = await fetch(location.href, { headers: { "x-fragments": old.map((part) => part.id).join(" ") } });
      if (answer.ok && !answer.redirected) this.swap(old, await answer.text());
    } catch {
      // The service is away; the stream tries again and tells what has changed since.
    } finally {
      this.fetching = false;
      if (this.waiting.size > 0) this.fetch();
    }
  },

  swap(old, text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const part of old) {
      const fresh = page.getElementById(part.id);
      // Nothing that a person is writing in, or is on, is taken away from them.
      if (!fresh || part.contains(document.activeElement) || part.isEqualNode(fresh)) continue;
      if ([...part.querySelectorAll("input, select")].some((input) => isTouched(input))) continue;
      const node = document.adoptNode(fresh);
      node.classList.add("fresh");
      part.replaceWith(node);
    }
    prepare(document);
  },
};

function isTouched(input) {
  if (input.type === "hidden") return false;
  if (input.type === "checkbox") return input.checked !== input.defaultChecked;
  if (input.tagName === "SELECT") return [...input.options].some((option) => option.selected !== option.defaultSelected && option.index > 0);
  return input.value !== input.defaultValue;
}

// A form is sent once, even if its button is pressed twice.
function sendOnce(form) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
  });
}

// A box in a table's head ticks all boxes of the table.
function tickAll(box) {
  box.hidden = false;
  box.addEventListener("change", () => {
    for (const other of box.closest("form").querySelectorAll(`input[name="${box.dataset.all}"]`)) other.checked = box.checked;
  });
}

function prepare(root) {
  for (const form of root.querySelectorAll("form[method=post]:not([data-ready])")) {
    form.dataset.ready = "yes";
    sendOnce(form);
  }
  for (const box of root.querySelectorAll("input[data-all]:not([data-ready])")) {
    box.dataset.ready = "yes";
    tickAll(box);
  }
}

// The slash puts the cursor into the search, as in many tools.
addEventListener("keydown", (event) => {
  const writes = event.target.matches("input, select, textarea");
  if (event.key !== "/" || writes || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("input[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
});

prepare(document);
const address = document.body.dataset.live;
if (address) Live.start(address);
