package httpapi

import (
	"net/http"

	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/members"
)

// usageView is what an organization uses.
type usageView struct {
	StorageBytes int64 `json:"storage_bytes" doc:"How many bytes its files hold, those in the trash among them."`
	Files        int64 `json:"files"         doc:"How many files it has, those in the trash among them."`
	// StorageLimitBytes is null where there is no limit.
	StorageLimitBytes *int64 `json:"storage_limit_bytes" doc:"How many bytes its files may hold; null where there is no limit."`
}

func usageRoutes(service *files.Service) []Route {
	return []Route{{
		Method: http.MethodGet, Path: "/usage", Access: Tenant, Permission: members.TenantRead, Status: http.StatusOK,
		Summary: "Read what your organization uses", Answer: usageView{},
		Handle: func(c *Call) error {
			usage, err := service.Usage(c.Context(), c.Scope)
			if err != nil {
				return err
			}
			view := usageView{StorageBytes: usage.Bytes, Files: usage.Files}
			if quota := service.Quota(); quota > 0 {
				view.StorageLimitBytes = &quota
			}
			return c.Answer(http.StatusOK, view)
		},
	}}
}
