package model

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
)

// What plain HTTP gives of an upload: the content once it is ready, and its status at any time (README, "Endpoints").

// read is GET of the content.
func (m *model) read(r request) []outcome {
	u := r.upload
	switch {
	case !there(u):
		return []outcome{notFound()}
	case u.isPartial():
		return []outcome{refuse(403, anything).with("Sluice-State", u.told())} // "SHOULD NOT be processed until" it is joined
	case u.state == rejected:
		return []outcome{goneFor(u)}
	case u.state == receiving:
		return []outcome{refuse(409, "not_ready")}
	}
	asked, there := r.one("Range")
	if !there {
		return []outcome{u.content200()}
	}
	first, last, ok := satisfy(asked, int64(len(u.content)))
	none := refuse(416, "range_not_satisfiable").with("Content-Range", fmt.Sprintf("bytes */%d", len(u.content))).with("Sluice-State", ready)
	switch {
	case !ok && len(u.content) == 0: // "A server MAY ignore the Range header field."
		return []outcome{none, u.content200()}
	case !ok:
		return []outcome{none}
	}
	part := outcome{status: 206, check: bodyIs(u.content[first : last+1])}.with("Sluice-State", ready)
	return []outcome{part.with("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(u.content)))}
}

func (u *upload) content200() outcome {
	return outcome{status: 200, check: bodyIs(u.content)}.with("Sluice-State", ready)
}

func bodyIs(want []byte) func(answer) string {
	return func(a answer) string {
		if a.body != string(want) || a.length != int64(len(want)) {
			return fmt.Sprintf("content is not what was sent: %d bytes, want %d", len(a.body), len(want))
		}
		return ""
	}
}

// contentHeader is HEAD of the content. If that comes under another method, the length would be that of a body.
func (u *upload) contentHeader(r request) outcome {
	return outcome{status: 200, check: func(a answer) string {
		if want := int64(len(u.content)); r.method == "HEAD" && a.length != want {
			return fmt.Sprintf("Content-Length is %d, not %d", a.length, want)
		}
		return ""
	}}.with("Sluice-State", ready)
}

// satisfy reads the one range that the steps ask for, as RFC 9110, section 14.1.2, has it: first and last byte, ok if there are
// such bytes.
func satisfy(asked string, size int64) (first, last int64, ok bool) {
	found := regexp.MustCompile(`^bytes=(\d*)-(\d*)$`).FindStringSubmatch(asked)
	from, _ := strconv.ParseInt(found[1], 10, 64)
	to, err := strconv.ParseInt(found[2], 10, 64)
	if found[1] == "" {
		return max(0, size-to), size - 1, to > 0 && size > 0
	}
	if err != nil || to >= size {
		to = size - 1
	}
	return from, to, from < size
}

// beside is what there is below an upload's address: its status.
func (m *model) beside(r request, method string) []outcome {
	u := r.upload
	switch {
	case method != "GET" && method != "HEAD" && !there(u):
		return []outcome{notAllowed(), notFound()}
	case method != "GET" && method != "HEAD":
		return []outcome{notAllowed()}
	case !there(u), r.place == below:
		return []outcome{notFound()}
	}
	o := outcome{status: 200}
	if r.hasBody() {
		o.check = u.statusIs
	}
	return []outcome{o}
}

// statusIs compares a status with what is known of u.
func (u *upload) statusIs(a answer) string {
	var got struct {
		State  string
		Offset int64
		Length *int64
		Reason *struct{ Code string }
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		return "the status is no JSON: " + err.Error()
	}
	switch {
	case got.State != u.state && !(u.isPartial() && got.State == "received" && u.state == ready):
		return fmt.Sprintf("state is %s, not %s", got.State, u.state)
	case (got.Reason != nil) != (u.state == rejected):
		return "a reason is there exactly for what is rejected"
	case u.state == rejected:
		return ""
	case u.isFinal() && u.state == receiving:
		return ""
	case got.Offset != int64(len(u.content)):
		return fmt.Sprintf("offset is %d, not %d", got.Offset, len(u.content))
	case (got.Length == nil) != (u.length == deferred), got.Length != nil && *got.Length != u.length:
		return fmt.Sprintf("length is %s, not %d", text(got.Length), u.length)
	}
	return ""
}

func text(n *int64) string {
	if n == nil {
		return "null"
	}
	return number(*n)
}
