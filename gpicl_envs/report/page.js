// Tables of class "sortable": a click on a head sorts by it, a second click turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const rows = [...table.tBodies[0].rows];
    const numeric = rows.some((row) => "value" in row.cells[column].dataset);
    const order = head.ariaSort ?? (numeric ? "ascending" : "descending");
    const sign = order === "descending" ? 1 : -1;
    rows.sort((one, other) => {
      const [a, b] = [key(one), key(other)];
      if (!numeric) return sign * a.localeCompare(b);
      const [x, y] = [a, b].map((value) => parseFloat(value));
      if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y); // rows without a number stay last
      return sign * (x - y);
    });
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.ariaSort = sign === 1 ? "ascending" : "descending";
    table.tBodies[0].append(...rows);
  }));
}
