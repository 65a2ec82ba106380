package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	redigo "github.com/gomodule/redigo/redis"
)

// Info is the server as it counts itself; what a server does not tell is 0.
type Info struct {
	UsedBytes int64
	// MaxBytes is its maxmemory; 0 is none.
	MaxBytes int64
	Clients  int64
	// Commands, Evicted and Rejected are counted since the server's start: commands done, keys thrown out for want of
	// memory, which must not happen, and connections refused.
	Commands, Evicted, Rejected int64
}

// Info asks the server how it is.
func (c *Client) Info(ctx context.Context) (Info, error) {
	text, err := redigo.String(c.Do(ctx, "INFO"))
	if err != nil {
		return Info{}, fmt.Errorf("ask redis how it is: %w", err)
	}
	return parseInfo(text), nil
}

func parseInfo(text string) (info Info) {
	figures := map[string]*int64{
		"used_memory": &info.UsedBytes, "maxmemory": &info.MaxBytes, "connected_clients": &info.Clients,
		"total_commands_processed": &info.Commands, "evicted_keys": &info.Evicted, "rejected_connections": &info.Rejected,
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		into, known := figures[name]
		if !known {
			continue
		}
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			*into = n
		}
	}
	return info
}
