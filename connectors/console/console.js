// Fetches the live part of a page again, as a document of its own: nothing of it is ever run or parsed as markup here.

const live = document.getElementById("live");

function fetchPage() {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.timeout = 10_000;
    request.addEventListener("loadend", () => resolve(request.status === 200 ? request.response : null));
    request.open("GET", location.pathname);
    request.send();
  });
}

// What is being read, or selected, stays as it is.
function inUse() {
  return document.hidden || live.contains(document.activeElement) || !getSelection().isCollapsed;
}

async function renew() {
  if (inUse()) return;
  const page = await fetchPage();
  const found = page && page.getElementById("live");
  if (page && !found) location.reload();
  document.body.dataset.link = found ? "ok" : "lost";
  if (found && !inUse()) live.replaceChildren(...document.importNode(found, true).childNodes);
}

if (live) setInterval(renew, Number(live.dataset.everyS) * 1000);
