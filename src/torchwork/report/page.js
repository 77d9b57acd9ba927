"use strict";
{
  const valueOf = (row, place) => {
    const text = row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
    return row.cells[place].classList.contains("number") ? parseFloat(text.replace(/,/g, "")) : text;
  };
  const compare = (one, other) =>
    typeof one === "number" ? one - other : one.localeCompare(other, undefined, { numeric: true });
  const sort = (table, header) => {
    const place = header.cellIndex;
    const before = header.getAttribute("aria-sort");
    const up = before ? before === "descending" : !header.classList.contains("number");
    const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, place), row]);
    rows.sort(([one], [other]) => {
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other); // dashes stay last
      return up ? compare(one, other) : compare(other, one);
    });
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    if (table.tBodies[0].rows.length < 2) continue;
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      button.addEventListener("click", () => sort(table, header));
      header.append(button);
    }
  }
  addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
  });
}
