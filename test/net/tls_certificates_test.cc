// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/internal/tls_context_state.h"
#include "test/net/tls_pair.h"

// Whom a client believes, and whom a server does: a table of certificates,
// good and bad, each with the reason that it is refused for.

namespace rondo {
namespace {

using test::Calls;
using test::CertificateWish;
using test::client_options;
using test::Identity;
using test::TestCertificates;
using test::TlsPair;

constexpr const char* kGood = "good";
constexpr const char* kUnknownIssuer = "unable to get local issuer certificate";
constexpr const char* kOtherHost = "hostname mismatch";
constexpr const char* kOtherAddress = "IP address mismatch";

const Identity& authority() { return TestCertificates::get().authority; }

/// A server's certificate for `names`.
CertificateWish wish_for(const std::string& names) {
  CertificateWish wish;
  wish.common_name = "a server";
  wish.subject_alt_names = names;
  return wish;
}

CertificateWish authority_wish(const std::string& name) {
  CertificateWish wish;
  wish.common_name = name;
  wish.is_authority = true;
  return wish;
}

/// A context that takes any key, to show it to those who do not.
TlsContext careless_server(const std::string& chain, const std::string& key) {
  TlsContext server = TlsContext::server();
  SSL_CTX* const native = server.state()->context.get();
  SSL_CTX_set_security_level(native, 0);
  server.load_cert_chain_pem(chain, key);
  return server;
}

/// A client that trusts `trusted`, and nothing else.
TlsContext client_that_trusts(const std::string& trusted) {
  TlsContext client = TlsContext::client();
  SSL_CTX_set_cert_store(client.state()->context.get(), X509_STORE_new());
  if (!trusted.empty()) client.load_verify_pem(trusted);
  return client;
}

/// What a handshake is refused for.
std::string reason(const std::exception_ptr& error) {
  if (error == nullptr) return kGood;
  try {
    std::rethrow_exception(error);
  } catch (const CertificateError& e) {
    EXPECT_STREQ(e.reason(), "certificate verify failed");
    EXPECT_NE(e.verify_code(), 0);
    EXPECT_TRUE(std::string(e.what()).ends_with(e.verify_message()));
    return e.verify_message();
  } catch (...) {
    return describe(std::current_exception());
  }
}

/// What a client that calls its server `host` says of `chain`.
std::string verdict(const TlsContext& client, const TlsContext& server,
                    const std::string& host) {
  TlsPair pair(TlsOptions(client).server_hostname(host), server);
  pair.shake_hands();
  const std::string said = reason(pair.connecting.exception());
  if (said != kGood) {
    // Nobody has heard of the connection; the server is told.
    EXPECT_EQ(pair.client->calls, Calls());
    if (pair.accepting.exception() == nullptr) {
      EXPECT_TRUE(
          run_until(pair.loop, [&] { return pair.server->losses > 0; }));
    }
  } else {
    EXPECT_EQ(pair.accepting.exception(), nullptr);
  }
  return said;
}

std::string verdict(const CertificateWish& wish, const std::string& host) {
  const Identity identity = authority().issue(wish);
  return verdict(client_that_trusts(authority().certificate()),
                 careless_server(identity.certificate(), identity.key()), host);
}

std::string verdict(const std::string& names, const std::string& host) {
  return verdict(wish_for(names), host);
}

// -- names --------------------------------------------------------------------

struct NameCase {
  const char* names;  // in the certificate
  const char* host;   // that was called
  const char* verdict;
};

TEST(TlsCertificates, AreForTheNamesThatTheyHold) {
  const NameCase cases[] = {
      {"DNS:a.example", "a.example", kGood},
      {"DNS:a.example", "A.Example", kGood},
      {"DNS:A.EXAMPLE", "a.example", kGood},
      {"DNS:a.example", "a.example.", kGood},
      {"DNS:a.example,DNS:b.example", "b.example", kGood},
      {"DNS:a.example", "b.example", kOtherHost},
      {"DNS:a.example", "a.example.org", kOtherHost},
      {"DNS:a.example", "x.a.example", kOtherHost},
      {"DNS:a.example", "example", kOtherHost},
      {"DNS:a.example", "a.exampl", kOtherHost},
      // wildcards: one label, the first, whole
      {"DNS:*.example.org", "a.example.org", kGood},
      {"DNS:*.example.org", "A.EXAMPLE.ORG", kGood},
      {"DNS:*.example.org", "example.org", kOtherHost},
      {"DNS:*.example.org", "a.b.example.org", kOtherHost},
      {"DNS:*.*.example.org", "a.b.example.org", kOtherHost},
      {"DNS:a.*.example.org", "a.b.example.org", kOtherHost},
      {"DNS:f*.example.org", "foo.example.org", kOtherHost},
      {"DNS:*o.example.org", "foo.example.org", kOtherHost},
      {"DNS:f*o.example.org", "foo.example.org", kOtherHost},
      {"DNS:*", "localhost", kOtherHost},
      {"DNS:*", "a.example", kOtherHost},
      {"DNS:*.", "a.", kOtherHost},
      {"DNS:*.com", "example.com", kOtherHost},
      {"DNS:*.example.org", ".example.org", "not a name"},
      {"DNS:*.0.0.1", "127.0.0.1", kOtherAddress},
      {"DNS:xn--*.example.org", "xn--a.example.org", kOtherHost},
      {"DNS:*.example.org", "*.example.org", kGood},
      // addresses
      {"IP:127.0.0.1", "127.0.0.1", kGood},
      {"IP:::1", "::1", kGood},
      {"IP:::1", "0:0:0:0:0:0:0:1", kGood},
      {"IP:fe80::1", "fe80::1%lo", kGood},
      {"IP:127.0.0.1", "127.0.0.2", kOtherAddress},
      {"IP:127.0.0.1", "::ffff:127.0.0.1", kOtherAddress},
      {"DNS:127.0.0.1", "127.0.0.1", kOtherAddress},
      {"DNS:::1", "::1", kOtherAddress},
      {"IP:127.0.0.1", "localhost", kOtherHost},
      {"IP:127.0.0.1", "127.1", kOtherHost},
      {"email:a@a.example", "a.example", kOtherHost},
      {"URI:https://a.example", "a.example", kOtherHost},
  };
  for (const NameCase& each : cases) {
    SCOPED_TRACE(std::string(each.names) + " as " + each.host);
    std::string said;
    if (each.verdict == std::string("not a name")) {
      said = verdict(each.names, each.host);
      EXPECT_TRUE(said.ends_with("is not a host's name")) << said;
    } else {
      EXPECT_EQ(verdict(each.names, each.host), each.verdict);
    }
  }
}

TEST(TlsCertificates, ACommonNameIsNoName) {
  CertificateWish wish;
  wish.common_name = "a.example";
  EXPECT_EQ(verdict(wish, "a.example"), kOtherHost);
  wish.subject_alt_names = "DNS:b.example";
  EXPECT_EQ(verdict(wish, "a.example"), kOtherHost);
  wish.common_name = "127.0.0.1";
  EXPECT_EQ(verdict(wish, "127.0.0.1"), kOtherAddress);
}

TEST(TlsCertificates, ANulEndsNoName) {
  CertificateWish wish;
  wish.common_name = "a server";
  wish.raw_dns_name = std::string("a.example\0.evil.example", 23);
  EXPECT_EQ(verdict(wish, "a.example"), kOtherHost);
  // Nor can one be called by such a name.
  const std::string host("a.example\0.evil.example", 23);
  const std::string said = verdict("DNS:a.example", host);
  EXPECT_TRUE(said.starts_with("std::invalid_argument")) << said;
}

TEST(TlsCertificates, ANameIsNotCheckedIfTheContextSaysSo) {
  const Identity identity = authority().issue(wish_for("DNS:a.example"));
  const TlsContext server =
      careless_server(identity.certificate(), identity.key());
  TlsContext client = client_that_trusts(authority().certificate());
  client.check_hostname(false);
  EXPECT_EQ(verdict(client, server, "b.example"), kGood);
  EXPECT_EQ(verdict(client, server, ""), kGood);
  // The certificate is.
  TlsContext stranger = client_that_trusts("");
  stranger.check_hostname(false);
  EXPECT_EQ(verdict(stranger, server, ""), kUnknownIssuer);
}

TEST(TlsCertificates, NothingIsCheckedIfNothingIsAskedFor) {
  CertificateWish wish = wish_for("DNS:a.example");
  wish.valid_to = -60;
  const Identity identity = authority().issue(wish);
  const TlsContext server =
      careless_server(identity.certificate(), identity.key());
  TlsContext client = client_that_trusts("");
  client.verify_mode(VerifyMode::kNone);
  EXPECT_EQ(verdict(client, server, "b.example"), kGood);
  EXPECT_EQ(verdict(client, server, ""), kGood);
  EXPECT_THROW(client.check_hostname(true), std::invalid_argument);
  // To ask again asks for the name, too.
  client.load_verify_pem(authority().certificate());
  client.verify_mode(VerifyMode::kRequired);
  const Identity good = authority().issue(wish_for("DNS:a.example"));
  const TlsContext good_server =
      careless_server(good.certificate(), good.key());
  EXPECT_EQ(verdict(client, good_server, "a.example"), kGood);
  EXPECT_EQ(verdict(client, good_server, "b.example"), kOtherHost);
}

// -- the certificate itself ---------------------------------------------------

TEST(TlsCertificates, HaveATimeAndAPurpose) {
  const auto changed = [](const std::function<void(CertificateWish&)>& change) {
    CertificateWish wish = wish_for("DNS:a.example");
    change(wish);
    return verdict(wish, "a.example");
  };
  EXPECT_EQ(changed([](CertificateWish&) {}), kGood);
  EXPECT_EQ(changed([](CertificateWish& w) { w.valid_to = -60; }),
            "certificate has expired");
  EXPECT_EQ(changed([](CertificateWish& w) { w.valid_from = 3600; }),
            "certificate is not yet valid");
  EXPECT_EQ(
      changed([](CertificateWish& w) { w.extended_key_usage = "serverAuth"; }),
      kGood);
  EXPECT_EQ(changed([](CertificateWish& w) {
              w.extended_key_usage = "serverAuth,clientAuth";
            }),
            kGood);
  for (const char* usage : {"clientAuth", "codeSigning", "emailProtection"}) {
    EXPECT_EQ(
        changed([&](CertificateWish& w) { w.extended_key_usage = usage; }),
        "unsuitable certificate purpose")
        << usage;
  }
  EXPECT_EQ(changed([](CertificateWish& w) {
              w.key_usage = "critical,digitalSignature";
            }),
            kGood);
  EXPECT_EQ(
      changed([](CertificateWish& w) { w.key_usage = "critical,keyCertSign"; }),
      "unsuitable certificate purpose");
}

TEST(TlsCertificates, AreStrong) {
  const auto changed = [](unsigned bits, const char* digest) {
    CertificateWish wish = wish_for("DNS:a.example");
    wish.rsa_bits = bits;
    wish.digest = digest;
    return verdict(wish, "a.example");
  };
  EXPECT_EQ(changed(2048, "SHA256"), kGood);
  EXPECT_EQ(changed(0, "SHA384"), kGood);
  EXPECT_EQ(changed(1024, "SHA256"), "EE certificate key too weak");
  EXPECT_EQ(changed(2048, "SHA1"), "CA signature digest algorithm too weak");
  // Nor would a server of ours show one.
  CertificateWish weak = wish_for("DNS:a.example");
  weak.rsa_bits = 1024;
  const Identity identity = authority().issue(weak);
  EXPECT_EQ(test::thrown_by([&] {
              TlsContext::server().load_cert_chain_pem(identity.certificate(),
                                                       identity.key());
            }),
            "rondo::TlsError: load_cert_chain_pem: ee key too small");
}

// -- the chain ----------------------------------------------------------------

std::string verdict(const Identity& leaf, const std::string& chain,
                    const std::string& trusted,
                    const std::string& host = "a.example") {
  return verdict(client_that_trusts(trusted),
                 careless_server(leaf.certificate() + chain, leaf.key()), host);
}

TEST(TlsCertificates, NeedAnAuthorityThatIsTrusted) {
  const Identity leaf = authority().issue(wish_for("DNS:a.example"));
  EXPECT_EQ(verdict(leaf, "", authority().certificate()), kGood);
  EXPECT_EQ(verdict(leaf, "", ""), kUnknownIssuer);
  // One that comes along is not trusted for that.
  EXPECT_EQ(verdict(leaf, authority().certificate(), ""),
            "self-signed certificate in certificate chain");
  const Identity alone = Identity::self_signed(wish_for("DNS:a.example"));
  EXPECT_EQ(verdict(alone, "", authority().certificate()),
            "self-signed certificate");
  EXPECT_EQ(verdict(alone, "", alone.certificate()), kGood);
  // The same name, another key.
  const Identity other =
      Identity::self_signed(authority_wish("rondo's test authority"));
  EXPECT_NE(verdict(leaf, "", other.certificate()), kGood);
}

TEST(TlsCertificates, NeedTheWholeChain) {
  const Identity middle = authority().issue(authority_wish("in the middle"));
  const Identity leaf = middle.issue(wish_for("DNS:a.example"));
  const std::string trusted = authority().certificate();
  EXPECT_EQ(verdict(leaf, middle.certificate(), trusted), kGood);
  EXPECT_EQ(verdict(leaf, middle.certificate() + trusted, trusted), kGood);
  EXPECT_EQ(verdict(leaf, "", trusted), kUnknownIssuer);
  const Identity lower = middle.issue(authority_wish("lower"));
  const Identity deep = lower.issue(wish_for("DNS:a.example"));
  EXPECT_EQ(verdict(deep, lower.certificate() + middle.certificate(), trusted),
            kGood);
  EXPECT_EQ(verdict(deep, lower.certificate(), trusted), kUnknownIssuer);
}

TEST(TlsCertificates, AreIssuedByAuthoritiesOnly) {
  // Who has a good certificate for one host issues another.
  const Identity host = authority().issue(wish_for("DNS:evil.example"));
  const Identity forged = host.issue(wish_for("DNS:a.example"));
  EXPECT_EQ(verdict(forged, host.certificate(), authority().certificate()),
            "invalid CA certificate");
}

TEST(TlsCertificates, EndWithTheirAuthority) {
  CertificateWish wish = authority_wish("an old authority");
  wish.valid_to = -60;
  const Identity old_root = Identity::self_signed(wish);
  EXPECT_EQ(verdict(old_root.issue(wish_for("DNS:a.example")), "",
                    old_root.certificate()),
            "certificate has expired");
  const Identity old_middle = authority().issue(wish);
  EXPECT_EQ(verdict(old_middle.issue(wish_for("DNS:a.example")),
                    old_middle.certificate(), authority().certificate()),
            "certificate has expired");
}

TEST(TlsCertificates, KeepToTheNamesThatTheirAuthorityMaySpeakFor) {
  CertificateWish wish = authority_wish("of example.org");
  wish.name_constraints = "critical,permitted;DNS:example.org";
  const Identity only = authority().issue(wish);
  const std::string trusted = authority().certificate();
  EXPECT_EQ(verdict(only.issue(wish_for("DNS:a.example.org")),
                    only.certificate(), trusted, "a.example.org"),
            kGood);
  EXPECT_EQ(verdict(only.issue(wish_for("DNS:a.example")), only.certificate(),
                    trusted),
            "permitted subtree violation");
  wish.name_constraints = "critical,excluded;DNS:a.example";
  const Identity without = authority().issue(wish);
  EXPECT_EQ(verdict(without.issue(wish_for("DNS:a.example")),
                    without.certificate(), trusted),
            "excluded subtree violation");
}

/// A file with `text`, while it lives.
class TextFile {
 public:
  explicit TextFile(const std::string& text) {
    std::snprintf(path_, sizeof path_, "%s/rondo_tls_XXXXXX",
                  ::testing::TempDir().c_str());
    const UniqueFd fd(::mkstemp(path_));
    EXPECT_TRUE(fd);
    EXPECT_EQ(::write(fd.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  ~TextFile() { ::unlink(path_); }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;
  std::string path() const { return path_; }

 private:
  char path_[256];
};

TEST(TlsCertificates, AreRefusedIfTheyAreRevoked) {
  const Identity root = Identity::self_signed(authority_wish("lists"));
  const Identity leaf = root.issue(wish_for("DNS:a.example"));
  const Identity other = root.issue(wish_for("DNS:a.example"));
  const TextFile lists(root.revocation_list(&leaf));
  TlsContext client = client_that_trusts(root.certificate());
  client.load_revocation_lists(lists.path());
  const auto of = [&](const Identity& identity, const std::string& chain = "") {
    return verdict(
        client, careless_server(identity.certificate() + chain, identity.key()),
        "a.example");
  };
  EXPECT_EQ(of(leaf), "certificate revoked");
  EXPECT_EQ(of(other), kGood);
  // An authority of which there is no list.
  const Identity middle = root.issue(authority_wish("without a list"));
  const Identity below = middle.issue(wish_for("DNS:a.example"));
  EXPECT_EQ(of(below, middle.certificate()), "unable to get certificate CRL");
  const TextFile of_middle(middle.revocation_list(nullptr));
  client.load_revocation_lists(of_middle.path());
  EXPECT_EQ(of(below, middle.certificate()), kGood);
}

// -- of clients ---------------------------------------------------------------

/// What a server that asks for a certificate says of a client that shows
/// `identity`, or none.
std::string verdict_on_client(const Identity* identity,
                              const std::string& chain,
                              VerifyMode mode = VerifyMode::kRequired) {
  TlsContext server = test::server_context();
  server.load_verify_pem(authority().certificate()).verify_mode(mode);
  TlsContext client = client_that_trusts(authority().certificate());
  if (identity != nullptr) {
    SSL_CTX_set_security_level(client.state()->context.get(), 0);
    client.load_cert_chain_pem(identity->certificate() + chain,
                               identity->key());
  }
  TlsPair pair(client_options(client), server);
  pair.shake_hands();
  const std::string said = reason(pair.accepting.exception());
  if (said != kGood) {
    EXPECT_EQ(pair.server->calls, Calls());
  }
  return said;
}

TEST(TlsCertificates, OfClientsAreHeldToTheSameRules) {
  CertificateWish wish;
  wish.common_name = "a client";
  const auto issued = [&](const std::function<void(CertificateWish&)>& change) {
    CertificateWish changed = wish;
    change(changed);
    const Identity made = authority().issue(changed);
    return verdict_on_client(&made, "");
  };
  EXPECT_EQ(issued([](CertificateWish&) {}), kGood);
  EXPECT_EQ(issued([](CertificateWish& w) { w.valid_to = -60; }),
            "certificate has expired");
  EXPECT_EQ(issued([](CertificateWish& w) { w.valid_from = 3600; }),
            "certificate is not yet valid");
  EXPECT_EQ(
      issued([](CertificateWish& w) { w.extended_key_usage = "serverAuth"; }),
      "unsuitable certificate purpose");
  EXPECT_EQ(issued([](CertificateWish& w) { w.rsa_bits = 1024; }),
            "EE certificate key too weak");
  const Identity alone = Identity::self_signed(wish);
  EXPECT_EQ(verdict_on_client(&alone, ""), "self-signed certificate");
  const Identity middle = authority().issue(authority_wish("middle"));
  const Identity below = middle.issue(wish);
  EXPECT_EQ(verdict_on_client(&below, ""), kUnknownIssuer);
  EXPECT_EQ(verdict_on_client(&below, middle.certificate()), kGood);
}

TEST(TlsCertificates, OfClientsMayBeOptional) {
  EXPECT_EQ(verdict_on_client(nullptr, "", VerifyMode::kOptional), kGood);
  EXPECT_EQ(verdict_on_client(nullptr, "", VerifyMode::kNone), kGood);
  const Identity& good = TestCertificates::get().client;
  EXPECT_EQ(verdict_on_client(&good, "", VerifyMode::kOptional), kGood);
  const Identity alone = Identity::self_signed(authority_wish("anybody"));
  EXPECT_EQ(verdict_on_client(&alone, "", VerifyMode::kOptional),
            "self-signed certificate");
  EXPECT_EQ(verdict_on_client(&alone, "", VerifyMode::kNone), kGood);
}

}  // namespace
}  // namespace rondo
