module github.com/groundwork-saas/groundwork/migrations

go 1.26
