// Command openapi writes the API's OpenAPI document to standard output, without a database or a configuration: the
// routes and the resources are all that it is made of.
package main

import (
	"fmt"
	"os"

	"github.com/groundwork-saas/groundwork/api/internal/httpapi"
	"github.com/groundwork-saas/groundwork/domain/catalog"
	"github.com/groundwork-saas/groundwork/domain/resource"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run() error {
	var services []*resource.Service
	for _, d := range catalog.All() {
		services = append(services, resource.NewService(d, resource.Dependencies{}))
	}
	document, err := httpapi.New(httpapi.Config{}, httpapi.Dependencies{Resources: services}).Document().JSON()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(document)
	return err
}
