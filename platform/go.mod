module github.com/groundwork-saas/groundwork/platform

go 1.26
