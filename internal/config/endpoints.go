package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sluice/internal/upload"
)

// webhookName is that of the endpoint which the flags make.
const webhookName = "webhook"

// endpointKeys are the keys of an endpoint in the file.
func endpointKeys() []string {
	return []string{"name", "url", "keys", "format", "types", "allowPrivate", "timeout", "concurrency"}
}

// endpoints reads who is told of events: one by the flags, more by the file.
func (v *values) endpoints(c *Config, f *flags) {
	if f.Webhook != "" {
		e := upload.Endpoint{Name: webhookName, URL: f.Webhook, AllowPrivate: read(v, "webhook-private", f.WebhookPrivate, parseBool)}
		for _, raw := range f.WebhookKey {
			if key := read(v, "webhook-key", raw, v.secret); key != "" {
				e.Keys = append(e.Keys, key)
			}
		}
		v.checkEndpoint(c, e, v.src.place("webhook")+": ")
	} else if len(f.WebhookKey) > 0 {
		v.fault("webhook-key", "needs --webhook beside it")
	}
	for _, node := range v.src.file.endpoints {
		v.checkEndpoint(c, v.endpoint(node), v.src.file.at(node)+": ")
	}
}

// endpoint reads one endpoint of the file.
func (v *values) endpoint(node *yaml.Node) (e upload.Endpoint) {
	for _, p := range v.src.file.pairs(node, &v.faults) {
		if err := v.setKey(&e, p); err != nil {
			v.faults.add(fmt.Errorf("%s: %w", p.place, err))
		}
	}
	return e
}

func (v *values) setKey(e *upload.Endpoint, p pair) (err error) {
	switch p.key {
	case "name":
		e.Name, err = text(p.value)
	case "url":
		e.URL, err = cell(p.value, v.secret)
	case "keys":
		e.Keys, err = v.secrets(p.value)
	case "format":
		e.Format, err = cell(p.value, func(s string) (upload.Format, error) { return upload.Format(s), nil })
	case "types":
		var words []string
		words, err = texts(p.value)
		for _, word := range words {
			e.Types = append(e.Types, upload.EventType(word))
		}
	case "allowPrivate":
		e.AllowPrivate, err = cell(p.value, parseBool)
	case "timeout":
		e.Timeout, err = cell(p.value, positive[time.Duration](parseDuration))
	case "concurrency":
		e.Concurrency, err = cell(p.value, parseLimit)
	default:
		err = fmt.Errorf("unknown key%s", hint(p.key, endpointKeys()))
	}
	return err
}

func (v *values) secrets(node *yaml.Node) (secrets []string, err error) {
	words, err := texts(node)
	for _, word := range words {
		one, wrong := v.secret(word)
		if err = errors.Join(err, wrong); wrong == nil {
			secrets = append(secrets, one)
		}
	}
	return secrets, err
}

// secret is the value itself, or where it is: env:NAME or file:NAME, so that what many may read need not hold it. No fault
// repeats a secret.
func (v *values) secret(raw string) (string, error) {
	if name, ok := strings.CutPrefix(raw, "env:"); ok {
		value := v.src.getenv(name)
		if value == "" {
			return "", fmt.Errorf("there is no variable %q", name)
		}
		return value, nil
	}
	if name, ok := strings.CutPrefix(raw, "file:"); ok {
		text, err := os.ReadFile(name)
		return strings.TrimSpace(string(text)), err
	}
	return raw, nil
}

// checkEndpoint adds e to c, and what is wrong with it to the faults.
func (v *values) checkEndpoint(c *Config, e upload.Endpoint, place string) {
	for _, err := range e.Check() {
		v.faults.add(fmt.Errorf("%s%w", place, err))
	}
	if u, err := url.Parse(e.URL); err == nil && !e.AllowPrivate && isLocal(u.Hostname()) {
		v.faults.add(fmt.Errorf("%sendpoint %q: is on this machine or in a private network: that must be allowed (allowPrivate: true, --webhook-private=true)", place, e.Name))
	}
	for _, other := range c.Endpoints {
		if other.Name == e.Name {
			v.faults.add(fmt.Errorf("%sendpoint %q: there are two of that name", place, e.Name))
		}
	}
	c.Endpoints = append(c.Endpoints, e)
}

// isLocal tells what is written so that it can only be this machine or a private network. Where a name leads is found out when it
// is connected to.
func isLocal(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && (addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified())
}
