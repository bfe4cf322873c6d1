// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Script} from "forge-std/Script.sol";
import {StdCheats} from "forge-std/StdCheats.sol";

import {Deployment} from "../script/Deployment.sol";
import {Record} from "../script/Record.sol";
import {Multicall3} from "../test/tokens/Multicall3.sol";
import {TestUSDC} from "../test/tokens/TestUSDC.sol";

/// @notice Writes the genesis of a local Base Sepolia: the test token where USDC is, Multicall3 and the deployment proxy
/// where they always are, the ledger at its address, and money for anvil's well-known accounts.
contract Genesis is Script, StdCheats {
    address private constant MULTICALL3 = 0xcA11bde05977b3631167028862bE2a173976CA11;
    string private constant MNEMONIC = "test test test test test test test test test test test junk";
    uint32 private constant ACCOUNTS = 10;
    uint256 private constant UNITS_EACH = 1_000_000e6;
    /// One of them holds more than any test spends.
    uint32 private constant WHALE = 3;
    uint256 private constant WHALE_UNITS = 1e15;
    string private constant FOLDER = "target/foundry/dev";

    function run() external {
        vm.chainId(84532);
        Record.expectBuild();
        address usdc = Record.usdc();
        vm.etch(Deployment.FACTORY, Deployment.FACTORY_CODE);
        Deployment.deploy();
        Record.expectOnChain();
        deployCodeTo("TestUSDC.sol:TestUSDC", usdc);
        deployCodeTo("Multicall3.sol:Multicall3", MULTICALL3);
        for (uint32 i; i < ACCOUNTS; ++i) {
            address owner = vm.addr(vm.deriveKey(MNEMONIC, i));
            vm.deal(owner, 10_000 ether);
            TestUSDC(usdc).mint(owner, UNITS_EACH);
        }
        TestUSDC(usdc).mint(vm.addr(vm.deriveKey(MNEMONIC, WHALE)), WHALE_UNITS);
        _write();
    }

    function _write() private {
        vm.createDir(FOLDER, true);
        string memory alloc = string.concat(FOLDER, "/alloc.json");
        vm.dumpState(alloc);
        string memory head =
            '{"config":{"chainId":84532},"nonce":"0x0","timestamp":"0x0","extraData":"0x","gasLimit":"0x11e1a300","difficulty":"0x0","mixHash":"0x0000000000000000000000000000000000000000000000000000000000000000","coinbase":"0x0000000000000000000000000000000000000000","alloc":';
        vm.writeFile(string.concat(FOLDER, "/genesis.json"), string.concat(head, vm.readFile(alloc), "}"));
    }
}
