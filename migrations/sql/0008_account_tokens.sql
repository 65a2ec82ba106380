-- What is sent by mail and lets in: links that prove an address, that set a new password, and that accept an invitation.
-- Only the hash of a token is kept.

-- +goose Up

CREATE TABLE account_tokens (
  token_hash bytea       PRIMARY KEY,
  user_id    uuid        NOT NULL REFERENCES users ON DELETE CASCADE,
  purpose    text        NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
  email      text        NOT NULL, -- where it was sent: it is good as long as that is the user's address
  request    uuid        NOT NULL, -- the job that sent it; a mail that is sent twice has two tokens of one request
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,
  retired_at timestamptz -- a newer one was asked for, or what it was for was done in another way
);
CREATE INDEX account_tokens_user_id_idx ON account_tokens (user_id, purpose);
SELECT protect_control_table('account_tokens');

-- An invitation is accepted with the token that the API showed once, or with one that was mailed to its address.
CREATE TABLE invitation_tokens (
  tenant_id     uuid        NOT NULL,
  token_hash    bytea       NOT NULL,
  invitation_id uuid        NOT NULL,
  created_at    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, token_hash),
  FOREIGN KEY (tenant_id, invitation_id) REFERENCES invitations ON DELETE CASCADE
);
CREATE UNIQUE INDEX invitation_tokens_token_hash_key ON invitation_tokens (token_hash);
CREATE INDEX invitation_tokens_invitation_id_idx ON invitation_tokens (tenant_id, invitation_id);
SELECT protect_control_table('invitation_tokens');
CREATE POLICY tenant ON invitation_tokens TO groundwork_app, groundwork_worker
  USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());

-- +goose Down
DROP TABLE invitation_tokens, account_tokens;
