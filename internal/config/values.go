package config

import (
	"fmt"
	"slices"

	"sluice/internal/upload"
)

// values turns text into values and notes what is wrong with it.
type values struct {
	src    *source
	faults faults
}

// read parses the raw value of a flag; a fault names where that came from, and leaves the zero value.
func read[T any](v *values, flag, raw string, parse func(string) (T, error)) T {
	value, err := parse(raw)
	if err != nil {
		v.fault(flag, "%w", err)
	}
	return value
}

// fault notes what is wrong with the value of a flag.
func (v *values) fault(flag, format string, args ...any) {
	v.faults.add(fmt.Errorf("%s: "+format, append([]any{v.src.place(flag)}, args...)...))
}

// build makes c of raw values and checks it.
func (v *values) build(c *Config, f *flags) {
	if c.Command == Health {
		c.PrivateListen = read(v, "private-listen", f.PrivateListen, parseAddress)
		v.checkAsked(c.PrivateListen)
		return
	}
	c.DryRun, c.Repair, c.Digests = f.DryRun, f.Repair, f.Digests
	c.Replay = upload.Replay{Endpoint: f.Endpoint, Profile: f.Profile, Type: upload.EventType(f.Type), Delivered: f.Delivered}
	c.Replay.ID = read(v, "id", f.ID, parseID)
	v.checkReplay(c.Replay)
	c.Listing, c.JSON = upload.Listing{Profile: f.Profile, State: upload.State(f.State)}, f.JSON
	v.fill(c, f)
	v.endpoints(c, f)
	table, faults := profileTable(v.src.file)
	v.faults.add(faults...)
	v.check(c, table)
	if c.Command == LS {
		v.checkListing(c.Listing, table)
	}
}

// fill reads everything but the profiles.
func (v *values) fill(c *Config, f *flags) {
	c.Listen = read(v, "listen", f.Listen, parseAddress)
	c.PrivateListen = read(v, "private-listen", f.PrivateListen, parseAddress)
	c.TLSCert, c.TLSKey = f.TLSCert, f.TLSKey
	c.PublicURL = read(v, "public-url", f.PublicURL, parsePublicURL)
	for _, raw := range f.CORSOrigin {
		c.CORSOrigins = append(c.CORSOrigins, read(v, "cors-origin", raw, parseOrigin))
	}
	c.OwnerHeader = read(v, "owner-header", f.OwnerHeader, parseHeaderName)
	c.Data = read(v, "data", f.Data, parseDir)
	c.Durability = read(v, "durability", f.Durability, oneOf("always", "none"))
	c.Reserve = read(v, "reserve", f.Reserve, parseSize)
	c.SweepInterval = read(v, "sweep-interval", f.SweepInterval, parseDuration)
	c.Splice = read(v, "splice", f.Splice, parseBool)
	c.MaxConnections = read(v, "max-connections", f.MaxConnections, parseLimit)
	c.MaxUploads = read(v, "max-uploads", f.MaxUploads, parseLimit)
	c.ImageMemory = read(v, "image-memory", f.ImageMemory, positive(parseSize))
	c.Vipsthumbnail = read(v, "vipsthumbnail", f.Vipsthumbnail, v.parseProgram)
	c.IdleTimeout = read(v, "idle-timeout", f.IdleTimeout, positive(parseDuration))
	c.ShutdownTimeout = read(v, "shutdown-timeout", f.ShutdownTimeout, positive(parseDuration))
	c.ShowLevel = read(v, "show-level", f.ShowLevel, parseBool)
	c.PublicEvents = read(v, "public-events", f.PublicEvents, oneOf("local", "all", "named"))
	c.LogFormat = read(v, "log-format", f.LogFormat, oneOf("text", "json"))
	c.LogLevel = read(v, "log-level", f.LogLevel, parseLevel)
}

// checkReplay refuses what can match nothing.
func (v *values) checkReplay(r upload.Replay) {
	if r.Type != "" && !slices.Contains(upload.EventTypes(), r.Type) {
		v.fault("type", "no events are of type %q", r.Type)
	}
	if r.Delivered && r.ID == "" {
		v.fault("delivered", "needs --id beside it")
	}
}

// checkListing refuses what can match nothing.
func (v *values) checkListing(l upload.Listing, table []row) {
	states := []upload.State{"", upload.Receiving, upload.Received, upload.Ready, upload.Rejected, upload.Expired, upload.Unreadable}
	if !slices.Contains(states, l.State) {
		v.fault("state", "no upload in a list is %q", l.State)
	}
	if l.Profile != "" && !slices.ContainsFunc(table, func(r row) bool { return r.Name == l.Profile }) {
		v.fault("profile", "there is none that is called %q", l.Profile)
	}
}

func parseID(raw string) (upload.ID, error) {
	if raw == "" {
		return "", nil
	}
	id, err := upload.ParseID(raw)
	if err != nil {
		return "", fmt.Errorf("%q is not the id of an upload", raw)
	}
	return id, nil
}
