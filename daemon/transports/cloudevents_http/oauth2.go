package cloudeventshttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/eiffelbridge/eiffelbridge/daemon/transports/internal/filevalue"
	"github.com/eiffelbridge/eiffelbridge/internal/secret"
	"github.com/eiffelbridge/eiffelbridge/plugins/transport"
)

// OAuth2 lets a [Sink] fetch the token that it sends, by the grant of client credentials (RFC 6749, section 4.4). The token is fetched anew
// before it expires and after the target has answered 401. As long as none is to be had, events are to be sent again.
type OAuth2 struct {
	// TokenURL is the token endpoint.
	TokenURL string `yaml:"token_url"`
	// ClientID is the name of the client there.
	ClientID string `yaml:"client_id"`
	// ClientSecret is its secret. It is sent as basic authentication, or in the body to an endpoint that does not take that.
	ClientSecret secret.Secret `yaml:"client_secret"`
	// ClientSecretFile is a file that has the secret, in place of ClientSecret. It is read anew when it changes.
	ClientSecretFile string `yaml:"client_secret_file"`
	// Scopes are asked for.
	Scopes []string `yaml:"scopes"`
	// Audience is the parameter of that name, which some endpoints want.
	Audience string `yaml:"audience"`
}

func (o *OAuth2) validate() error {
	if o == nil {
		return nil
	}
	var errs []error
	if u, err := parseTarget(o.TokenURL); err != nil {
		errs = append(errs, fmt.Errorf("oauth2.token_url: %w", err))
	} else if u.User != nil {
		errs = append(errs, errors.New("oauth2.token_url: there is a user in it; write client_id and client_secret"))
	}
	if o.ClientID == "" {
		errs = append(errs, errors.New("oauth2.client_id: is missing"))
	}
	switch {
	case (o.ClientSecret == "") == (o.ClientSecretFile == ""):
		errs = append(errs, errors.New("oauth2.client_secret: write either it or client_secret_file"))
	case o.ClientSecret != "":
		if err := checkSecret(string(o.ClientSecret)); err != nil {
			errs = append(errs, fmt.Errorf("oauth2.client_secret: %w", err))
		}
	}
	return errors.Join(errs...)
}

// tokens has the token that is sent. It is safe for concurrent use.
type tokens struct {
	settings OAuth2
	secret   *filevalue.Value[string]

	// What follows belongs to who has put something in.
	lock    chan struct{}
	config  *clientcredentials.Config // keeps how the endpoint wants the secret
	current *oauth2.Token             // nil: there is none
	until   time.Time                 // when to fetch another; zero: never
	err     error                     // of the last fetch
}

// newTokens gives nil for nil.
func newTokens(settings *OAuth2, log *slog.Logger) (*tokens, error) {
	if settings == nil {
		return nil, nil
	}
	var files []filevalue.File
	if settings.ClientSecretFile != "" {
		files = append(files, filevalue.File{Key: "oauth2.client_secret_file", Path: settings.ClientSecretFile})
	}
	secret, err := filevalue.New(files, log, func(contents [][]byte) (string, error) {
		if len(contents) == 0 {
			return string(settings.ClientSecret), nil
		}
		text, err := filevalue.Line(contents[0])
		if err == nil {
			err = checkSecret(text)
		}
		if err != nil {
			return "", fmt.Errorf("oauth2.client_secret_file: %s %w", settings.ClientSecretFile, err)
		}
		return text, nil
	})
	if err != nil {
		return nil, err
	}
	return &tokens{settings: *settings, secret: secret, lock: make(chan struct{}, 1)}, nil
}

// get gives the token, and fetches one over client if need be. Those who ask meanwhile wait for what comes of it, within their own ctx.
func (t *tokens) get(ctx context.Context, client *http.Client) (*oauth2.Token, error) {
	select {
	case t.lock <- struct{}{}:
	default:
		// Somebody has it, most likely to fetch one: what comes of that counts for this request too, or an endpoint that does not answer
		// would be asked by one event after the other.
		select {
		case t.lock <- struct{}{}:
			if t.err != nil {
				defer func() { <-t.lock }()
				return nil, t.err
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a token: %w", ctx.Err())
		}
	}
	defer func() { <-t.lock }()
	if t.current != nil && (t.until.IsZero() || time.Now().Before(t.until)) {
		return t.current, nil
	}
	t.current = nil
	token, err := t.fetch(ctx, client)
	t.err = err
	if err != nil {
		return nil, err
	}
	t.current, t.until = token, time.Time{}
	if !token.Expiry.IsZero() {
		// Early enough for a request to be under way, of which a token that lives for seconds has less.
		t.until = token.Expiry.Add(-min(10*time.Second, time.Until(token.Expiry)/5))
	}
	return token, nil
}

// drop forgets a token that was not taken, unless there is another one by now.
func (t *tokens) drop(token *oauth2.Token) {
	t.lock <- struct{}{}
	defer func() { <-t.lock }()
	if t.current == token {
		t.current = nil
	}
}

func (t *tokens) fetch(ctx context.Context, client *http.Client) (*oauth2.Token, error) {
	if secret := t.secret.Get(); t.config == nil || t.config.ClientSecret != secret {
		t.config = &clientcredentials.Config{ClientID: t.settings.ClientID, ClientSecret: secret, TokenURL: t.settings.TokenURL, Scopes: t.settings.Scopes}
		if t.settings.Audience != "" {
			t.config.EndpointParams = url.Values{"audience": {t.settings.Audience}}
		}
	}
	token, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	if err == nil && !isHeaderValue(token.AccessToken) {
		err = errors.New("the token has characters that no header may have")
	}
	if err != nil {
		return nil, t.describe(err)
	}
	return token, nil
}

// describe is an error of the endpoint for people. What the endpoint writes is cut short, and told to be its words.
func (t *tokens) describe(err error) error {
	var answered *oauth2.RetrieveError
	var request *url.Error
	after := time.Duration(0)
	switch {
	case errors.As(err, &answered):
		after = retryAfter(answered.Response.Header, time.Now())
		err = fmt.Errorf("answered %d %s", answered.Response.StatusCode, http.StatusText(answered.Response.StatusCode))
		if answered.ErrorCode != "" {
			err = fmt.Errorf("%w: %.100q %.200q", err, answered.ErrorCode, answered.ErrorDescription)
		}
	case errors.As(err, &request):
		err = request.Err // without the URL, which is there already
	}
	err = fmt.Errorf("no token from %s: %w", t.settings.TokenURL, err)
	if after > 0 {
		return &transport.RetryAfterError{Err: err, After: after}
	}
	return err
}
