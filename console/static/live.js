// Parts of a page that follow what happens. `data-events`: server-sent events whose data is markup of ours for this
// element; an event "end" closes it. `data-refresh`: the page is fetched again every so many seconds, and the part with
// the same id replaced, unless somebody is in it, has paused it, or is not looking.
const announcer = document.getElementById("announcer");
let announced = 0;
function announce(text) {
  if (!text || Date.now() - announced < 5000) return;
  announced = Date.now();
  announcer.textContent = text;
}

for (const place of document.querySelectorAll("[data-events]")) {
  const source = new EventSource(place.dataset.events);
  const put = (event) => {
    place.innerHTML = event.data;
    announce(place.querySelector("[data-say]")?.dataset.say);
  };
  source.addEventListener("part", put);
  source.addEventListener("end", (event) => { put(event); source.close(); });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED || !place.dataset.lost) return;
    const lost = document.createElement("p");
    lost.textContent = place.dataset.lost;
    place.append(lost);
    announce(place.dataset.lost);
  });
  addEventListener("pagehide", () => source.close());
}

for (const place of document.querySelectorAll("[data-refresh]")) {
  setInterval(async () => {
    const here = document.getElementById(place.id);
    if (document.hidden || here.contains(document.activeElement) || here.dataset.paused) return;
    const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
    if (!answer?.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(place.id);
    if (fresh) here.innerHTML = fresh.innerHTML;
  }, Number(place.dataset.refresh) * 1000);
}
