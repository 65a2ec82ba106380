package main

import "github.com/groundwork-saas/groundwork/deployments/local/testdata/fake"

func main() { fake.Run("worker", "WORKER_OPS_ADDR") }
