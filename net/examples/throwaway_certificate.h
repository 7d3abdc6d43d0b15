// SPDX-License-Identifier: MIT
#pragma once

// A certificate for localhost that signs itself, and its key, which everybody
// can read here: for the examples only. Valid for a hundred years. Made by
//
//   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
//     -days 36500 -subj /CN=localhost -addext subjectAltName=DNS:localhost

inline constexpr char kThrowawayCertificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBlDCCATugAwIBAgIUcRzDYXKW5GpvTpxXRHW8d4nR5B4wCgYIKoZIzj0EAwIw\n"
    "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTE4MzYwM1oYDzIxMjYxMDI4\n"
    "MTgzNjAzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
    "PQMBBwNCAATmM6szeRb5eaLH/H/p2F95W2QWGxRm1COCy059Ia9jbyu2gComBtcX\n"
    "/aIoreoLGxV8OkZVIL+thnCyfSZln/tXo2kwZzAdBgNVHQ4EFgQU9+Z9aSec521G\n"
    "3fPn612H+Uu4WHUwHwYDVR0jBBgwFoAU9+Z9aSec521G3fPn612H+Uu4WHUwDwYD\n"
    "VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID\n"
    "RwAwRAIgIWkA7SXrSPnLEAumVsqZDtIE1/gqdR2Za4cNkVd8MQ8CIElUEepjVFxP\n"
    "8FeAcD34QehZ5gy2mtLh0YZOPOVyCpuR\n"
    "-----END CERTIFICATE-----\n";

inline constexpr char kThrowawayKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5eQFK8sYE0GKbM4M\n"
    "7NznyRjW/kNzvpFKLpAQdc6Z2DOhRANCAATmM6szeRb5eaLH/H/p2F95W2QWGxRm\n"
    "1COCy059Ia9jbyu2gComBtcX/aIoreoLGxV8OkZVIL+thnCyfSZln/tX\n"
    "-----END PRIVATE KEY-----\n";
