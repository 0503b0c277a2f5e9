// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// What an author of a handler in Swift needs of Martlet. scripts/assemble.sh puts the sources beside this file.
import PackageDescription

let package = Package(
    name: "handler-kit",
    products: [.library(name: "HandlerKit", targets: ["HandlerKit"])],
    targets: [
        .target(name: "HandlerABI"),
        .target(
            name: "HandlerKit", dependencies: ["HandlerABI"],
            swiftSettings: [
                .swiftLanguageMode(.v6),
                .strictMemorySafety(),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableExperimentalFeature("Lifetimes"),
            ]),
    ]
)
