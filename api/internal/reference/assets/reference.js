// The pages work without this; it finds operations by name, copies examples, and folds the contents on small screens.
const find = document.getElementById("find");
const capabilities = [...document.querySelectorAll(".capability")];
const wasOpen = capabilities.map((c) => c.open);
const nothing = document.querySelector(".none");

find.addEventListener("input", () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  capabilities.forEach((capability, i) => {
    let shown = 0;
    for (const link of capability.querySelectorAll("a[data-find]")) {
      const text = link.dataset.find.toLowerCase();
      const fits = words.every((word) => text.includes(word));
      link.parentElement.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    capability.hidden = shown === 0;
    capability.open = words.length > 0 ? shown > 0 : wasOpen[i];
    found += shown;
  });
  nothing.hidden = found > 0;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== find) {
    event.preventDefault();
    document.querySelector(".menu").open = true;
    find.focus();
  }
});

for (const button of document.querySelectorAll(".copy")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.closest("figure").querySelector("pre").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}

// On a small screen the contents would stand in the way.
const small = matchMedia("(max-width: 60rem)");
const menu = document.querySelector(".menu");
const fold = () => (menu.open = !small.matches);
fold();
small.addEventListener("change", fold);
menu.addEventListener("click", (event) => {
  if (small.matches && event.target.closest("a")) menu.open = false;
});

// The contents mark the operation that is being read.
const links = new Map([...document.querySelectorAll("a[data-find]")].map((a) => [a.hash.slice(1), a]));
const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const link = links.get(entry.target.id);
      if (!link || new URL(link.href).pathname !== location.pathname) continue;
      if (entry.isIntersecting) {
        document.querySelector("nav a.reading")?.classList.remove("reading");
        link.classList.add("reading");
      }
    }
  },
  { rootMargin: "-10% 0px -80% 0px" },
);
document.querySelectorAll(".operation").forEach((section) => seen.observe(section));
