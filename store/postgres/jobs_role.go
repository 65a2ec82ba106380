package postgres

import (
	"context"
	"errors"
)

var errNotSystem = errors.New("the role is not groundwork_system: it would see no organization's jobs; give the address with that role")

// CheckRole refuses a role that the policies of the engine do not hold for: to it every queue would look empty.
func (e *JobEngine) CheckRole(ctx context.Context) error {
	isSystem, _, err := one(e.operator(ctx), func(row scanner) (is bool, err error) { return is, row.Scan(&is) },
		"select pg_has_role(current_user, 'groundwork_system', 'usage')")
	if err == nil && !isSystem {
		err = errNotSystem
	}
	return translate(err)
}
