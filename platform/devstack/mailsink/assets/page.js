// The parts of a mail, and a look for new ones every two seconds.
const tabs = [...document.querySelectorAll('[data-tab]')];
const parts = [...document.querySelectorAll('[data-part]')];
function choose(name) {
  for (const t of tabs) t.setAttribute('aria-selected', t.dataset.tab === name);
  for (const p of parts) p.hidden = p.dataset.part !== name;
  sessionStorage.setItem('part', name);
}
for (const t of tabs) t.addEventListener('click', () => choose(t.dataset.tab));
const wanted = sessionStorage.getItem('part');
if (tabs.length) choose(tabs.some(t => t.dataset.tab === wanted) ? wanted : tabs[0].dataset.tab);

document.querySelector('nav [aria-current]')?.scrollIntoView({block: 'nearest'});
document.getElementById('clear').addEventListener('click', async () => {
  await fetch('/messages', {method: 'DELETE'});
  location.href = '/';
});

const newest = Number(document.body.dataset.newest);
setInterval(async () => {
  if (document.hidden) return;
  const answer = await fetch('/latest').catch(() => null);
  if (answer?.ok && (await answer.json()).id !== newest) location.reload();
}, 2000);
