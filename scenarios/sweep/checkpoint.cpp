// Checkpoints: the certificate of a part, kept in a file.
#include "scenarios/sweep/checkpoint.hpp"

#include <charconv>
#include <filesystem>
#include <optional>

#include "scenarios/formats/read_file.hpp"
#include "scenarios/formats/write_file.hpp"

namespace capsize {
namespace {

std::string text_of(const std::optional<Shard>& shard) {
  if (!shard) return "the whole universe";
  return "shard " + std::to_string(shard->index) + "/" + std::to_string(shard->of);
}

std::optional<Error> cannot_continue(const Certificate& kept, const Certificate& wanted) {
  const std::string way_out =
      "take it up with the options that it was begun with, or name a new "
      "file with --resume";
  if (auto differs = differs_from(kept, wanted)) {
    differs->text = "is a checkpoint of another sweep: " + differs->text;
    differs->hint = way_out;
    return differs;
  }
  if (kept.shard != wanted.shard) {
    return Error{"",
                 "is a checkpoint of " + text_of(kept.shard) + ", not of " + text_of(wanted.shard),
                 way_out};
  }
  return std::nullopt;
}

}  // namespace

Result<Certificate> read_certificate_file(const std::string& path) {
  const auto text = read_file(path, kCertificateBytes, "a certificate");
  if (!text) return tl::unexpected(text.error());
  auto certificate = read_certificate(*text);
  if (!certificate) return tl::unexpected(std::move(certificate.error()).within(path));
  return certificate;
}

Result<bool> take_up(const std::string& path, Certificate& certificate) {
  std::error_code ignored;
  if (std::filesystem::status(path, ignored).type() == std::filesystem::file_type::not_found) {
    return false;
  }
  auto kept = read_certificate_file(path);
  if (!kept) {
    kept.error().hint += kept.error().hint.empty() ? "" : "; ";
    kept.error().hint += "or remove the file to begin anew";
    return tl::unexpected(std::move(kept.error()).within("--resume"));
  }
  if (auto error = cannot_continue(*kept, certificate)) {
    return tl::unexpected(std::move(*error).within(path).within("--resume"));
  }
  certificate.state = std::move(kept->state);
  certificate.layouts = kept->layouts;
  certificate.triples = kept->triples;
  return true;
}

Result<void> keep(const std::string& path, const Certificate& certificate) {
  auto written = write_file_atomically(path, write_certificate(certificate));
  if (!written) return tl::unexpected(std::move(written.error()).within("--resume"));
  return {};
}

Result<Shard> read_shard(std::string_view text) {
  const auto wrong = [&](std::string why) {
    return tl::unexpected(Error{"--shard", "\"" + std::string(text) + "\" " + std::move(why),
                                "--shard 1/3, 2/3 and 3/3 are the three thirds of a universe"});
  };
  const auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const char* last = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), last, value);
    return error == std::errc{} && end == last ? std::optional(value) : std::nullopt;
  };
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return wrong("is no shard");
  const auto index = number(text.substr(0, slash));
  const auto of = number(text.substr(slash + 1));
  if (!index || !of) return wrong("is no shard");
  constexpr std::uint64_t kShardsMax = 1'000'000;
  if (*of < 1 || *of > kShardsMax) return wrong("counts other than 1 to 1000000 shards");
  if (*index < 1 || *index > *of)
    return wrong("names none of its " + std::to_string(*of) + " shards");
  return Shard{*index, *of};
}

}  // namespace capsize
