module github.com/groundwork-saas/groundwork/scheduler

go 1.26.0

require (
	github.com/groundwork-saas/groundwork/domain v0.0.0
	github.com/groundwork-saas/groundwork/platform v0.0.0
	github.com/groundwork-saas/groundwork/migrations v0.0.0
	github.com/groundwork-saas/groundwork/store v0.0.0
)

replace (
	github.com/groundwork-saas/groundwork/domain => ../domain
	github.com/groundwork-saas/groundwork/platform => ../platform
	github.com/groundwork-saas/groundwork/migrations => ../migrations
	github.com/groundwork-saas/groundwork/store => ../store
)
