package postgres

// ProductBackfills are the backfills of this version. One stays here until no installation can be at a version before
// it; its name is never used again. CONTRIBUTING.md has the recipe.
func ProductBackfills() []Backfill {
	return nil
}
