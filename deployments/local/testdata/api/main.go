package main

import "github.com/groundwork-saas/groundwork/deployments/local/testdata/fake"

func main() { fake.Run("api", "API_OPS_ADDR") }
