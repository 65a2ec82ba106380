module github.com/groundwork-saas/groundwork/deployments

go 1.26.0

require github.com/stretchr/testify v1.12.1

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace (
	github.com/groundwork-saas/groundwork/domain => ../domain
	github.com/groundwork-saas/groundwork/migrations => ../migrations
	github.com/groundwork-saas/groundwork/platform => ../platform
	github.com/groundwork-saas/groundwork/store => ../store
)
