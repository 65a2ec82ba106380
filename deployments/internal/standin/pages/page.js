// The pages of a web app that links in mails lead to. The token stands in the fragment, which no server sees.
const pages = {
  '/verify-email': {title: 'Verify your e-mail address', path: '/auth/email/verify', fields: [], button: 'Verify my address', done: 'Your address is verified.'},
  '/reset-password': {title: 'Choose a new password', path: '/auth/password/reset', fields: ['password'], button: 'Set the password', done: 'Your password was changed. Sign in with it.'},
  '/accept-invitation': {title: 'Accept the invitation', path: '/invitations/accept', fields: ['name', 'password'], button: 'Accept', done: 'You are a member now.'},
  '/forgot-password': {title: 'Forgot your password?', path: '/auth/password/forgot', fields: ['email'], button: 'Send me a link', done: ''},
};
const page = pages[location.pathname];
const form = document.querySelector('form');
const answer = document.getElementById('answer');
const token = new URLSearchParams(location.hash.slice(1)).get('token');
history.replaceState(null, '', location.pathname); // the token stays in no history
if (page) {
  document.title = document.getElementById('title').textContent = page.title;
  document.getElementById('text').textContent = token || page.fields.includes('email') ? '' : 'The link has no token: open it from the mail.';
  for (const field of page.fields) document.querySelector('.' + field).hidden = false;
  form.querySelector('button').textContent = page.button;
  form.hidden = !token && !page.fields.includes('email');
}
form.addEventListener('submit', async event => {
  event.preventDefault();
  const body = token ? {token} : {};
  for (const field of page.fields) if (form[field].value) body[field] = form[field].value;
  const response = await fetch('/app/api' + page.path, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
  const text = await response.text();
  const said = text ? JSON.parse(text) : {};
  answer.hidden = false;
  answer.textContent = response.ok ? page.done || said.detail : [said.detail, ...(said.errors ?? []).map(e => e.pointer + ' ' + e.detail)].join('\n');
  form.hidden = response.ok;
});
