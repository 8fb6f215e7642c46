// Draws the API into the page. Everything comes from this origin: the description, the calls, and all files.
"use strict";

// Swagger UI has a dark dress, and no eye for what the system wants.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const dress = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", dress);
dress();

// Its own search looks at tags alone, and at the case of their letters.
const says = (operation, words) => {
  const text = [
    operation.get("method"),
    operation.get("path"),
    operation.getIn(["operation", "summary"]),
    operation.getIn(["operation", "operationId"]),
  ]
    .join(" ")
    .toLowerCase();
  return words.every((word) => text.includes(word));
};
const search = {
  fn: {
    opsFilter: (tags, phrase) => {
      const words = phrase.toLowerCase().split(/\s+/).filter(Boolean);
      return tags
        .map((tag) => tag.update("operations", (all) => all.filter((operation) => says(operation, words))))
        .filter((tag) => tag.get("operations").size > 0);
    },
  },
};

// What the search and the fields of a call are for is told to those who do not see where they stand.
const name = (root) => {
  const filter = root.querySelector(".operation-filter-input");
  if (filter && !filter.hasAttribute("aria-label")) {
    filter.setAttribute("aria-label", "Search the API");
    filter.placeholder = "Search: a path, a verb, a word";
  }
};

const root = document.getElementById("api");
new MutationObserver(() => name(root)).observe(root, { childList: true, subtree: true });

window.SwaggerUIBundle({
  url: "/openapi.json",
  domNode: root,
  plugins: [search],
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: true,
  requestSnippetsEnabled: true,
  requestSnippets: { generators: { curl_bash: { title: "curl", syntax: "bash" } }, languages: ["curl_bash"] },
  tryItOutEnabled: true,
  validatorUrl: null, // no other origin is asked
});
