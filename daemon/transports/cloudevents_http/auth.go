package cloudeventshttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/filevalue"
	"github.com/eiffelbridge/eiffelbridge/internal/secret"
)

// Bearer says which token the requests to a [Source] must have (RFC 6750). One that has none of them is answered with 401.
type Bearer struct {
	// Token is the token, or a list of tokens of which any will do, so that one can be replaced by another.
	Token []secret.Secret `yaml:"token"`
	// TokenFile is a file with tokens, one on each line, which count as well. It is read anew when it changes.
	TokenFile string `yaml:"token_file"`
	// Header is where the token stands: in Authorization behind the word Bearer, in any other by itself, as GitLab has it.
	Header string `yaml:"header"`
	// InQuery takes the token from the parameter access_token of the URL as well. URLs are written to logs by whatever a request
	// passes through, so that this is for senders that cannot set a header.
	InQuery bool `yaml:"in_query"`
}

// SetDefaults looks for the token where RFC 6750 has it.
func (b *Bearer) SetDefaults() { b.Header = authorization }

const authorization = "Authorization"

func (b *Bearer) validate() error {
	if b == nil {
		return nil
	}
	err := validateSecrets("bearer.token", b.Token, b.TokenFile)
	switch {
	case !isHeaderName(b.Header):
		err = errors.Join(err, fmt.Errorf("bearer.header: %q is not a header name", b.Header))
	case isOwnHeader(b.Header):
		err = errors.Join(err, fmt.Errorf("bearer.header: %s has another meaning", http.CanonicalHeaderKey(b.Header)))
	}
	return err
}

// HMAC says how the body of a request is signed: with HMAC and SHA-256, in hexadecimal digits. A [Sink] signs with the first secret, a
// [Source] takes what is signed with any of them, and answers anything else with 401. The headers are not signed, and so neither are the
// attributes of a CloudEvent in binary mode.
type HMAC struct {
	// Secret is the secret, or a list of secrets of which any will do, so that one can be replaced by another. The first one
	// signs.
	Secret []secret.Secret `yaml:"secret"`
	// SecretFile is a file with secrets, one on each line, which count behind those in Secret. It is read anew when it changes.
	SecretFile string `yaml:"secret_file"`
	// Header is the header that the signature stands in.
	Header string `yaml:"header"`
	// Prefix is what stands before the hexadecimal digits.
	Prefix string `yaml:"prefix"`
}

// SetDefaults signs as GitHub does.
func (h *HMAC) SetDefaults() { h.Header, h.Prefix = "X-Hub-Signature-256", "sha256=" }

func (h *HMAC) validate() error {
	if h == nil {
		return nil
	}
	errs := []error{validateSecrets("hmac.secret", h.Secret, h.SecretFile)}
	switch {
	case !isHeaderName(h.Header):
		errs = append(errs, fmt.Errorf("hmac.header: %q is not a header name", h.Header))
	case isOwnHeader(h.Header) || strings.EqualFold(h.Header, authorization):
		errs = append(errs, fmt.Errorf("hmac.header: %s has another meaning", http.CanonicalHeaderKey(h.Header)))
	}
	if !isHeaderValue(h.Prefix) || strings.TrimSpace(h.Prefix) != h.Prefix {
		errs = append(errs, fmt.Errorf("hmac.prefix: %q has characters that cannot stand there", h.Prefix))
	}
	return errors.Join(errs...)
}

// validateSecrets finds a check that would never or always succeed: one without a secret is a slip, and must not let everybody in.
func validateSecrets(key string, secrets []secret.Secret, file string) error {
	if len(secrets) == 0 && file == "" {
		return fmt.Errorf("%s: is missing; write it or %s_file", key, key[strings.LastIndexByte(key, '.')+1:])
	}
	for _, secret := range secrets {
		if err := checkSecret(string(secret)); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func checkSecret(secret string) error {
	switch {
	case secret == "":
		return errors.New("is empty")
	case !isHeaderValue(secret) || strings.TrimSpace(secret) != secret:
		return errors.New("begins or ends with a space, or has control characters")
	}
	return nil
}

// secretsOf are the secrets of the configuration and those of the file, made into what is compared.
func secretsOf[T any](key string, secrets []secret.Secret, file string, log *slog.Logger, use func(secret string) T) (*filevalue.Value[[]T], error) {
	var files []filevalue.File
	if file != "" {
		files = append(files, filevalue.File{Key: key + "_file", Path: file})
	}
	return filevalue.New(files, log, func(contents [][]byte) ([]T, error) {
		var out []T
		for _, secret := range secrets {
			out = append(out, use(string(secret)))
		}
		for _, content := range contents {
			lines := filevalue.Lines(content)
			if len(lines) == 0 {
				return nil, fmt.Errorf("%s_file: %s has no line with text", key, file)
			}
			for _, line := range lines {
				if err := checkSecret(line); err != nil {
					return nil, fmt.Errorf("%s_file: a line of %s %w", key, file, err)
				}
				out = append(out, use(line))
			}
		}
		return out, nil
	})
}

// guard checks who sends. It is safe for concurrent use.
type guard struct {
	bearer     *Bearer                               // nil: no token is needed
	tokens     *filevalue.Value[[][sha256.Size]byte] // digests, which are as long as each other
	signatures *signer                               // nil: none is needed
	browsers   *http.CrossOriginProtection
}

func newGuard(bearer *Bearer, signing *HMAC, log *slog.Logger) (*guard, error) {
	g := &guard{bearer: bearer, browsers: http.NewCrossOriginProtection()}
	var err error
	if bearer != nil {
		g.tokens, err = secretsOf("bearer.token", bearer.Token, bearer.TokenFile, log, func(token string) [sha256.Size]byte {
			return sha256.Sum256([]byte(token))
		})
		if err != nil {
			return nil, err
		}
	}
	g.signatures, err = newSigner(signing, log)
	return g, err
}

// checkHead looks at a POST whose body was not read yet. The token is taken out of the header, so that it goes no further. The refusal is nil
// if there is nothing against the request.
func (g *guard) checkHead(reply http.Header, r *http.Request) *answer {
	// A page that somebody looks at must not make their browser post events to what only that machine can reach.
	if err := g.browsers.Check(r); err != nil {
		return &answer{status: http.StatusForbidden, err: "requests of web pages of other origins are not taken"}
	}
	if g.bearer != nil {
		token, there := g.token(r)
		r.Header.Del(g.bearer.Header)
		if g.bearer.InQuery {
			reply.Set("Cache-Control", "private") // HTTP 1.1 Web Hooks for Event Delivery, section 3.2
		}
		if !there {
			return &answer{status: http.StatusUnauthorized, err: "a token is needed", challenge: g.challenge("")}
		}
		if !g.known(token) {
			return &answer{status: http.StatusUnauthorized, err: "the token is not valid", challenge: g.challenge("invalid_token")}
		}
	}
	if g.signatures != nil && len(r.Header.Values(g.signatures.header)) != 1 {
		return &answer{status: http.StatusUnauthorized, err: "a signature of the body is needed, in the header " + g.signatures.header,
			challenge: g.signatures.challenge()}
	}
	return nil
}

// checkBody looks at the body of a request that checkHead let in.
func (g *guard) checkBody(r *http.Request, body []byte) *answer {
	if g.signatures == nil || g.signatures.verify(r.Header.Get(g.signatures.header), body) {
		return nil
	}
	return &answer{status: http.StatusUnauthorized, err: "the signature in the header " + g.signatures.header + " is not one of this body",
		challenge: g.signatures.challenge()}
}

// token is the one that the request has, if it has one.
func (g *guard) token(r *http.Request) (string, bool) {
	values := r.Header.Values(g.bearer.Header)
	if len(values) == 0 && g.bearer.InQuery {
		values = r.URL.Query()["access_token"]
		return strings.Join(values, ""), len(values) == 1
	}
	if len(values) != 1 {
		return "", false
	}
	if !strings.EqualFold(g.bearer.Header, authorization) {
		return values[0], true
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	return strings.TrimLeft(token, " "), ok && strings.EqualFold(scheme, "Bearer")
}

// known takes as long for one token as for another.
func (g *guard) known(token string) bool {
	digest, found := sha256.Sum256([]byte(token)), 0
	for _, one := range g.tokens.Get() {
		found |= subtle.ConstantTimeCompare(one[:], digest[:])
	}
	return found == 1
}

// challenge is the header of an answer with 401 (RFC 6750, section 3).
func (g *guard) challenge(code string) string {
	text := `Bearer realm="eiffelbridge"`
	if code != "" {
		text += `, error="` + code + `"`
	}
	return text
}

// signer makes and checks signatures. It is safe for concurrent use.
type signer struct {
	header, prefix string
	secrets        *filevalue.Value[[][]byte]
}

// newSigner gives nil for nil.
func newSigner(settings *HMAC, log *slog.Logger) (*signer, error) {
	if settings == nil {
		return nil, nil
	}
	secrets, err := secretsOf("hmac.secret", settings.Secret, settings.SecretFile, log, func(secret string) []byte { return []byte(secret) })
	if err != nil {
		return nil, err
	}
	return &signer{http.CanonicalHeaderKey(settings.Header), settings.Prefix, secrets}, nil
}

func (s *signer) sum(secret, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return mac.Sum(nil)
}

// sign is the value of the header.
func (s *signer) sign(body []byte) string {
	return s.prefix + hex.EncodeToString(s.sum(s.secrets.Get()[0], body))
}

func (s *signer) verify(value string, body []byte) bool {
	digits, ok := strings.CutPrefix(value, s.prefix)
	if !ok {
		return false
	}
	signature, err := hex.DecodeString(digits)
	if err != nil {
		return false
	}
	found := false
	for _, secret := range s.secrets.Get() {
		if hmac.Equal(signature, s.sum(secret, body)) {
			found = true
		}
	}
	return found
}

// challenge names what is missing, since an answer with 401 must; there is no registered scheme for it.
func (s *signer) challenge() string { return `HMAC-SHA256 header="` + s.header + `"` }

// SinkFor gives the settings of a [Sink] that posts to target and that a source by these settings lets in: with its first token, and signed
// with its first secret. A source with TLS is an error, since what its certificate says is not known here.
func (s SourceSettings) SinkFor(target string) (SinkSettings, error) {
	out := DefaultSinkSettings(target)
	if s.TLS != nil {
		return out, errors.New("it listens with TLS, and which name and which authority its certificate has is not known")
	}
	out.HMAC = s.HMAC
	if s.Bearer == nil {
		return out, nil
	}
	tokens := s.Bearer.Token
	if len(tokens) == 0 {
		content, err := os.ReadFile(s.Bearer.TokenFile)
		if err != nil {
			return out, fmt.Errorf("bearer.token_file: %w", err)
		}
		for _, line := range filevalue.Lines(content) {
			tokens = append(tokens, secret.Secret(line))
		}
		if len(tokens) == 0 {
			return out, fmt.Errorf("bearer.token_file: %s has no token", s.Bearer.TokenFile)
		}
	}
	value := string(tokens[0])
	if strings.EqualFold(s.Bearer.Header, authorization) {
		value = "Bearer " + value
	}
	out.Headers = Headers{s.Bearer.Header: value}
	return out, nil
}
