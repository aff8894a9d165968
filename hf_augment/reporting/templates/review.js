"use strict";
const byId = (id) => document.getElementById(id);
const groups = [...document.querySelectorAll(".group")];
const boxes = [...document.querySelectorAll("li input")];
const filters = ["arms", "label", "verdict"];
const words = new Map();

function lowered(item) {
  if (!words.has(item)) words.set(item, item.textContent.toLowerCase());
  return words.get(item);
}

function search() {
  const wanted = byId("search").value.trim().toLowerCase();
  let found = 0;
  for (const group of groups) {
    const chosen = filters.every((name) => !byId(name).value || byId(name).value === group.dataset[name]);
    let shown = 0;
    for (const item of group.querySelectorAll("li")) {
      const box = item.querySelector("input");
      item.hidden = !chosen || !lowered(item).includes(wanted) || (byId("checked").checked && !(box && box.checked));
      shown += !item.hidden;
    }
    group.hidden = !shown;
    found += shown;
  }
  byId("found").textContent = `${found} shown`;
}

function collect() {
  const ids = boxes.filter((box) => box.checked).map((box) => box.value);
  byId("ids").value = ids.join("\n");
  byId("count").textContent = `${ids.length} to throw out`;
  byId("save").href = "data:text/plain;charset=utf-8," + encodeURIComponent(ids.join("\n") + "\n");
}

for (const control of document.querySelectorAll("nav input, nav select")) control.addEventListener("input", search);
document.querySelector("main").addEventListener("change", collect);
byId("ids").addEventListener("focus", (event) => event.target.select());
document.querySelector("nav").hidden = false;
// A browser may have kept what was typed and checked before a reload.
search();
collect();
