package handlers

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/upload"
)

// problem is what a client may know of an error (RFC 9457). Nothing else of an error ever reaches one.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`        // a sentence for a person
	Code   string `json:"code"`          // stable, for programs
	Ref    string `json:"ref,omitempty"` // the request's id, where the log says more
	tusd   string // tusd's name for the same error, for its metrics
}

// clientError is a fault in a request that needs no other caller's attention than the client's. Its words are public.
type clientError struct {
	status int
	code   string
	detail string
}

func (e *clientError) Error() string { return e.code }

func badRequest(code, detail string) error { return &clientError{http.StatusBadRequest, code, detail} }

// statusChecksumMismatch is the protocol's own (tus 1.0.0, "Checksum").
const statusChecksumMismatch = 460

var errBusy = errors.New("too many uploads at once")

// publicErrors is the one table from errors to what a client is told. The first match counts.
var publicErrors = []struct {
	err    error
	status int
	code   string
	tusd   string // "" where tusd has no such error
	detail string
}{
	{upload.ErrNotFound, 404, "not_found", "ERR_UPLOAD_NOT_FOUND", "There is no upload at this address."},
	{upload.ErrExpired, 410, "expired", "", "This upload's time is over; its data is no longer kept."},
	{upload.ErrGone, 410, "gone", "", "This upload is gone."},
	{upload.ErrTooLarge, 413, "too_large", "ERR_UPLOAD_SIZE_EXCEEDED", "The data is longer than the upload's declared length or the limit allows."},
	{upload.ErrInsufficientStorage, 507, "insufficient_storage", "", "The server has no room for this upload at the moment. What it may have received is kept."},
	{upload.ErrInterrupted, 423, "interrupted", "ERR_UPLOAD_INTERRUPTED", "Another request took over this upload. What arrived is kept."},
	{upload.ErrLocked, 423, "locked", "ERR_UPLOAD_LOCKED", "Another request is using this upload. Try again in a moment."},
	{upload.ErrShutdown, 503, "shutting_down", "ERR_SERVER_SHUTDOWN", "The server is restarting. What arrived is kept; try again in a moment."},
	{errBusy, 503, "busy", "", "The server is taking as many uploads as it can. Try again in a moment."},
	{upload.ErrOffsetMismatch, 409, "offset_mismatch", "ERR_MISMATCHED_OFFSET", "Upload-Offset is not where this upload ends."},
	{upload.ErrNotReady, 409, "not_ready", "", "The content is not ready yet; its state is at this address followed by /status."},
	{upload.ErrFinal, 403, "modify_final", "ERR_MODIFY_FINAL", "This upload is made of others: nothing can be added to it."},
	{upload.ErrComplete, 400, "already_complete", "", "The upload has all its data."},
	{upload.ErrChecksumMismatch, statusChecksumMismatch, "checksum_mismatch", "", "The data is not what its checksum says. None of it was kept; send it again."},
	{upload.ErrExists, 409, "exists", "", "There is an upload of this name already."},
	{upload.ErrBadMetadata, 400, "bad_metadata", "", "Upload-Metadata must be comma-separated pairs of a unique ASCII key and a base64 value."},
	{upload.ErrUnreadable, 500, "unreadable_upload", "", "What is stored about this upload is damaged. It can be deleted."},
	{errClientGone, 400, "incomplete_body", "ERR_UNEXPECTED_EOF", "The request's body ended early. What arrived is kept."},
	{handler.ErrMaxSizeExceeded, 413, "too_large", "ERR_MAX_SIZE_EXCEEDED", "The file is larger than allowed here."},
	{handler.ErrSizeExceeded, 413, "too_large", "ERR_UPLOAD_SIZE_EXCEEDED", "The data is longer than the upload's declared length."},
	{handler.ErrMismatchOffset, 409, "offset_mismatch", "ERR_MISMATCHED_OFFSET", "Upload-Offset is not where this upload ends."},
	{handler.ErrInvalidUploadLength, 400, "bad_length", "ERR_INVALID_UPLOAD_LENGTH", "Upload-Length cannot be set, or not to this value."},
}

// verdictStatus are the statuses of a rejection, by code; every other is 422.
var verdictStatus = map[string]int{
	upload.CodeUnsupportedType: http.StatusUnsupportedMediaType,
	upload.CodeTooManyPixels:   http.StatusRequestEntityTooLarge,
	upload.CodeTooLarge:        http.StatusRequestEntityTooLarge,
}

// problemOf says what err means to a client. What is in no table is an internal error: logged here, once.
func (r *request) problemOf(err error) problem {
	var verdict *upload.Rejection
	if errors.As(err, &verdict) {
		status, ok := verdictStatus[verdict.Code]
		if !ok {
			status = http.StatusUnprocessableEntity
		}
		return newProblem(status, verdict.Code, "", verdict.Message)
	}
	var fault *clientError
	if errors.As(err, &fault) {
		return newProblem(fault.status, fault.code, "", fault.detail)
	}
	for _, row := range publicErrors {
		if errors.Is(err, row.err) {
			if row.status >= 500 {
				r.log().Warn("request refused", "err", err)
			}
			return newProblem(row.status, row.code, row.tusd, row.detail)
		}
	}
	r.log().Error("internal error", "err", err)
	p := newProblem(http.StatusInternalServerError, "internal_error", "ERR_INTERNAL_SERVER_ERROR", "The server made a mistake. Try again; if it stays, tell its operator the reference.")
	p.Ref = r.id
	return p
}

func newProblem(status int, code, tusd, detail string) problem {
	if tusd == "" {
		tusd = "ERR_" + strings.ToUpper(code)
	}
	return problem{"about:blank", cmp.Or(http.StatusText(status), "Checksum Mismatch"), status, detail, code, "", tusd}
}

func (p problem) body() []byte {
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and a number always encode
	}
	return append(raw, '\n')
}

const problemType = "application/problem+json"

// header sets what goes with p.
func (p problem) header(h http.Header) {
	h.Set("Content-Type", problemType)
	if p.Status == http.StatusLocked || p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
}

// fail answers with err.
func (r *request) fail(err error) {
	p := r.problemOf(err)
	r.w.errors.count(p)
	r.answer(p)
}

// answer sends p.
func (r *request) answer(p problem) {
	h := r.w.Header()
	p.header(h)
	h.Set("Cache-Control", "no-store")
	body := p.body()
	h.Set("Content-Length", strconv.Itoa(len(body)))
	r.w.WriteHeader(p.Status)
	if r.method != http.MethodHead {
		r.w.Write(body) // a client that is gone needs no answer
	}
}

// foreignErrors are what net/http says by a status alone.
var foreignErrors = map[int]struct{ code, detail string }{
	http.StatusNotFound:                     {"not_found", "There is nothing at this address."},
	http.StatusMethodNotAllowed:             {"method_not_allowed", "This address does not take this method."},
	http.StatusPreconditionFailed:           {"precondition_failed", "The content is not the one that the request is about."},
	http.StatusRequestedRangeNotSatisfiable: {"range_not_satisfiable", "The content does not have the range that was asked for."},
}

// problemOf stands for an error that somebody else answers with: found by tusd's name for it, else by its status.
func problemOf(status int, name string) problem {
	for _, row := range publicErrors {
		if row.tusd == name && row.status == status {
			return newProblem(status, row.code, row.tusd, row.detail)
		}
	}
	if row, ok := foreignErrors[status]; ok {
		return newProblem(status, row.code, "", row.detail)
	}
	if status < 500 {
		return newProblem(status, "bad_request", "", "The request is not one that this server understands.")
	}
	return newProblem(http.StatusInternalServerError, "internal_error", "", "The server made a mistake. Try again.")
}

// tusError is err in the form in which tusd takes it for an answer of its own.
func (r *request) tusError(err error) error {
	p := r.problemOf(err)
	h := make(http.Header)
	p.header(h)
	answer := handler.NewError(p.tusd, p.Code, p.Status)
	answer.HTTPResponse.Body = string(p.body())
	for key := range h {
		answer.HTTPResponse.Header[key] = h.Get(key)
	}
	return answer
}
