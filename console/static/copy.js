// Copy buttons: shown only where they can work.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  const label = button.firstChild;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    label.textContent = "Copied";
    document.getElementById("announcer").textContent = "Copied";
    setTimeout(() => { label.textContent = "Copy"; }, 2000);
  });
}
