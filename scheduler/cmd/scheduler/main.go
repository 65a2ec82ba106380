// Command scheduler runs what is due: it hands jobs over to the workers, makes those that recur, and keeps partitions and
// the keys that tokens are signed with.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/groundwork-saas/groundwork/domain/connectors"
	"github.com/groundwork-saas/groundwork/domain/files"
	"github.com/groundwork-saas/groundwork/domain/inbound"
	"github.com/groundwork-saas/groundwork/domain/signingkeys"
	"github.com/groundwork-saas/groundwork/platform/config"
	"github.com/groundwork-saas/groundwork/platform/lifecycle"
	"github.com/groundwork-saas/groundwork/scheduler/internal/upkeep"
	"github.com/groundwork-saas/groundwork/store/backend"
	"github.com/groundwork-saas/groundwork/store/blobs"
	"github.com/groundwork-saas/groundwork/store/postgres"
)

// settings are what the scheduler is told.
type settings struct {
	config.Common
	config.Files
	// OpsAddr is where operators find health, metrics and profiles; never public.
	OpsAddr config.Address `env:"SCHEDULER_OPS_ADDR" default:":9092" help:"Where health, metrics and profiles are served; never public."`
	// SigningKeyLife is how long a key signs tokens before the next one takes over.
	SigningKeyLife time.Duration `env:"SIGNING_KEY_LIFE" default:"720h" min:"1h" help:"How long a key signs access tokens before the next one takes over."`
	// JobsRetention is how long jobs that ended can be looked at.
	JobsRetention time.Duration `env:"JOBS_RETENTION" default:"168h" min:"1h" help:"How long jobs that succeeded or were cancelled can be looked at."`
	// InboundRetention is how long inbound events can be looked at, replayed, and told from repetitions.
	InboundRetention time.Duration `env:"INBOUND_RETENTION" default:"720h" min:"24h" help:"How long webhooks that were received are kept; as long they can be replayed, and a repeated one is told from a new one."`
}

func main() {
	os.Exit(backend.Main(backend.Program{Name: "scheduler", Summary: "runs what is due", OpsAddr: "SCHEDULER_OPS_ADDR", Now: time.Now}, serve))
}

func serve(ctx context.Context, cfg *settings, base *backend.Process) error {
	keys := signingkeys.NewKeyring(postgres.NewSigningKeys(base.DB, base.Sealer), func([]signingkeys.Key) error { return nil }, base.Now,
		signingkeys.Config{RotateEvery: cfg.SigningKeyLife})
	jobs, err := wire(base.Backend, base.Log, base.Registry, base.Now) //nolint:contextcheck // bells end with Close
	if err != nil {
		return errors.Join(err, base.Component().Stop(ctx))
	}
	contents, err := blobs.Open(cfg.Files)
	if err != nil {
		return errors.Join(err, base.Component().Stop(ctx))
	}
	synced := postgres.NewSystemConnectors(base.DB, postgres.NewJobs(base.Router, jobs.bells.Wake))
	old := files.Upkeep{
		Store: postgres.NewSystemFiles(base.DB), Contents: contents, RetainFor: cfg.FilesRetainDeleted, Now: base.Now,
	}
	components := []lifecycle.Component{
		base.Component(),
		base.Operations(cfg.OpsAddr),
		upkeep.Component(ctx, base.Log,
			upkeep.Duty{Name: "partitions", Every: 6 * time.Hour, Run: base.DB.EnsurePartitions},
			upkeep.Duty{Name: "signing keys", Every: time.Hour, Run: keys.Maintain},
			upkeep.Duty{Name: "sealed secrets", Every: 6 * time.Hour, Run: reseal(base.Log, keys.Reseal, func(ctx context.Context) (int, error) {
				return inbound.Reseal(ctx, postgres.NewSealedSources(base.DB), base.Sealer)
			}, postgres.NewSealedEndpoints(base.DB, base.Sealer).Reseal, func(ctx context.Context) (int, error) {
				return connectors.Reseal(ctx, synced, base.Sealer)
			})},
			upkeep.Duty{Name: "connectors", Every: 10 * time.Second, Run: connectors.NewDispatcher(synced).Dispatch},
			upkeep.Duty{Name: "met times", Every: 24 * time.Hour, Run: jobs.schedules.Prune},
			jobs.endedJobs(cfg.JobsRetention),
			upkeep.Duty{Name: "trash of files", Every: time.Hour, Run: counted(base.Log, "files were removed for good", old.Purge)},
			upkeep.Duty{Name: "contents without a file", Every: 6 * time.Hour, Run: counted(base.Log, "contents that no file has were removed", old.Sweep)},
			upkeep.Duty{Name: "webhook deliveries", Every: 6 * time.Hour, Run: base.DB.KeepDeliveries},
			upkeep.Duty{Name: "inbound events", Every: time.Hour, Run: func(ctx context.Context) error {
				return base.DB.SweepInbound(ctx, cfg.InboundRetention)
			}},
		),
	}
	return lifecycle.Run(ctx, cfg.ShutdownTimeout, append(components, jobs.components(ctx)...)...)
}

// counted returns the duty to do something many times, and logs how many.
func counted(log *logrus.Logger, what string, do func(context.Context) (int, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		n, err := do(ctx)
		if n > 0 {
			log.WithField("count", n).Info(what)
		}
		return err
	}
}

// reseal returns the duty to seal anew what was sealed with an older key of the master key than the one that seals now.
func reseal(log *logrus.Logger, kinds ...func(context.Context) (int, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		resealed, failed := 0, error(nil)
		for _, each := range kinds {
			n, err := each(ctx)
			resealed, failed = resealed+n, errors.Join(failed, err)
		}
		if resealed > 0 {
			log.WithField("count", resealed).Info("secrets were sealed anew under the present master key")
		}
		return failed
	}
}
