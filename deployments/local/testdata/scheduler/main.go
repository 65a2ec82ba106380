package main

import "github.com/groundwork-saas/groundwork/deployments/local/testdata/fake"

func main() { fake.Run("scheduler", "SCHEDULER_OPS_ADDR") }
