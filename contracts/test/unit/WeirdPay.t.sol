// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {ProxyUSDC, ProxyUSDCLogic} from "../tokens/ProxyUSDC.sol";
import {WeirdToken} from "../tokens/WeirdToken.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {Authorization, SettlementReceipt, Signature, Terms} from "../../src/Types.sol";

/// Tokens that misbehave while `pay` asks them to execute an authorization, in both forms of EIP-3009: (v, r, s) and
/// a signature of any length. What arrived counts, never what the token says.
contract WeirdPayTest is Scene {
    WeirdToken internal token;
    Terms internal terms;
    address internal escrow;
    Authorization internal authorization;
    uint256 internal payerKey = uint256(keccak256("payer"));
    address internal payer = vm.addr(payerKey);

    function setUp() public override {
        super.setUp();
        token = new WeirdToken();
        token.mint(payer, BUDGET);
        terms = _terms();
        terms.asset = address(token);
        escrow = ledger.escrowOf(terms);
        authorization = Authorization(payer, BUDGET, NOW - 60, NOW + 120, "1");
    }

    /// Both entries with the same authorization; the weird token looks at no signature.
    function _calls() internal view returns (bytes[2] memory) {
        return [
            abi.encodeWithSignature(
                "pay((uint8,uint8,uint16,uint16,uint96,uint96,uint64,uint64,uint64,uint256,bytes32,address,address,bytes32,address,address,bytes32),(address,uint256,uint256,uint256,bytes32),uint8,bytes32,bytes32)",
                terms,
                authorization,
                27,
                bytes32("r"),
                bytes32("s")
            ),
            abi.encodeWithSignature(
                "pay((uint8,uint8,uint16,uint16,uint96,uint96,uint64,uint64,uint64,uint256,bytes32,address,address,bytes32,address,address,bytes32),(address,uint256,uint256,uint256,bytes32),bytes)",
                terms,
                authorization,
                bytes("signature")
            )
        ];
    }

    /// What the ledger answers to a call that must fail, with at most this much gas used.
    function _refusal(bytes memory data, uint256 most) internal returns (bytes memory answer) {
        bool accepted;
        uint256 before = gasleft();
        (accepted, answer) = address(ledger).call(data);
        assertLt(before - gasleft(), most, "gas");
        assertFalse(accepted, "a payment that did not come counts");
        assertEq(token.balanceOf(escrow), 0, "nothing stays of a refused payment");
        assertEq(token.balanceOf(payer), BUDGET);
    }

    function _selector(bytes memory answer) internal pure returns (bytes4) {
        return bytes4(answer);
    }

    function test_a_payment_the_token_did_not_make_is_no_payment_whatever_it_answers() public {
        WeirdToken.Mode[3] memory modes =
            [WeirdToken.Mode.ReturnsFalse, WeirdToken.Mode.ReturnsTwo, WeirdToken.Mode.ShortReturn];
        bytes memory short = abi.encodeWithSelector(ITaskEscrow.PaymentShort.selector, 0, uint256(BUDGET));
        for (uint256 i; i < 3; ++i) {
            token.misbehave(modes[i], address(0));
            for (uint256 form; form < 2; ++form) {
                assertEq(_refusal(_calls()[form], 300_000), short);
            }
        }
    }

    function test_a_fee_on_transfer_is_a_short_payment_and_takes_nothing() public {
        token.misbehave(WeirdToken.Mode.Fee, address(0));
        bytes memory short =
            abi.encodeWithSelector(ITaskEscrow.PaymentShort.selector, BUDGET - BUDGET / 100, uint256(BUDGET));
        for (uint256 form; form < 2; ++form) {
            assertEq(_refusal(_calls()[form], 300_000), short);
        }
    }

    function test_a_refusing_bombing_or_burning_token_costs_its_caller_a_bounded_amount() public {
        WeirdToken.Mode[3] memory modes = [WeirdToken.Mode.Reverts, WeirdToken.Mode.Bomb, WeirdToken.Mode.BurnsGas];
        uint256[3] memory most = [uint256(200_000), 300_000, 2_300_000];
        for (uint256 i; i < 3; ++i) {
            token.misbehave(modes[i], address(0));
            for (uint256 form; form < 2; ++form) {
                bytes memory answer = _refusal(_calls()[form], most[i]);
                assertEq(_selector(answer), ITaskEscrow.PaymentRefused.selector);
                assertLe(answer.length, 4 + 64 + 256);
            }
        }
    }

    function test_a_token_that_returns_nothing_pays_in_both_forms() public {
        token.misbehave(WeirdToken.Mode.NoReturn, address(0));
        uint256 start = vm.snapshotState();
        for (uint256 form; form < 2; ++form) {
            (bool accepted,) = address(ledger).call(_calls()[form]);
            assertTrue(accepted);
            assertEq(token.balanceOf(escrow), BUDGET);
            vm.revertToState(start);
        }
    }

    function test_what_lay_there_before_is_no_part_of_a_payment() public {
        token.mint(escrow, BUDGET);
        token.misbehave(WeirdToken.Mode.ReturnsFalse, address(0));
        bytes memory short = abi.encodeWithSelector(ITaskEscrow.PaymentShort.selector, 0, uint256(BUDGET));
        for (uint256 form; form < 2; ++form) {
            (bool accepted, bytes memory answer) = address(ledger).call(_calls()[form]);
            assertFalse(accepted);
            assertEq(answer, short);
        }
    }

    /// A hook inside the payment may call anything; nothing of the ledger that moves money answers, so it can neither
    /// settle nor sweep an escrow that is being paid, nor count one deposit for two payments.
    function test_a_hook_inside_a_payment_is_locked_out_of_every_entry() public {
        SettlementReceipt memory receipt = _paid(_rows(3, 1_000_000));
        Signature[] memory signatures = _sign(terms, receipt, 3);
        bytes[2] memory pays = _calls();
        bytes[7] memory calls = [
            pays[0],
            pays[1],
            abi.encodeCall(ledger.settle, (terms, receipt, _set(3, 5), signatures)),
            abi.encodeCall(ledger.sweep, (terms, address(token))),
            abi.encodeCall(ledger.sweepTo, (terms, address(token), creator)),
            abi.encodeCall(ledger.claimCredit, (terms, workers[0])),
            abi.encodeCall(ledger.claimCreditTo, (terms, creator))
        ];
        token.mint(escrow, BUDGET);
        uint256 start = vm.snapshotState();
        for (uint256 form; form < 2; ++form) {
            for (uint256 i; i < 7; ++i) {
                token.setHook(address(ledger), calls[i]);
                (bool accepted,) = address(ledger).call(pays[form]);
                assertTrue(accepted, "the payment itself goes through");
                assertFalse(token.hookDone());
                assertEq(bytes4(token.hookAnswer()), bytes4(keccak256("ReentrancyGuardReentrantCall()")));
                assertEq(token.balanceOf(escrow), 2 * BUDGET);
                assertEq(escrow.code.length, 0);
                vm.revertToState(start);
            }
        }
    }

    // ---- blocklist, pause, upgrade: the USDC-shaped token, which checks signatures

    function _signedForUsdc() internal returns (bytes[2] memory calls) {
        terms.asset = address(usdc);
        escrow = ledger.escrowOf(terms);
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                payer,
                escrow,
                authorization.value,
                authorization.validAfter,
                authorization.validBefore,
                authorization.nonce
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", usdc.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(payerKey, digest);
        calls = _calls();
        calls[0] = abi.encodeWithSelector(bytes4(calls[0]), terms, authorization, v, r, s);
        calls[1] = abi.encodeWithSelector(bytes4(calls[1]), terms, authorization, abi.encodePacked(r, s, v));
    }

    function _expectRefused(bytes memory data, string memory reason) internal {
        (bool accepted, bytes memory answer) = address(ledger).call(data);
        assertFalse(accepted);
        bytes memory why = abi.encodeWithSignature("Error(string)", reason);
        assertEq(answer, abi.encodeWithSelector(ITaskEscrow.PaymentRefused.selector, why));
        assertEq(usdc.balanceOf(escrow), 0);
    }

    function test_a_blocked_payer_or_escrow_and_a_pause_refuse_the_payment_and_a_retry_pays() public {
        usdc.mint(payer, BUDGET);
        bytes[2] memory calls = _signedForUsdc();
        uint256 start = vm.snapshotState();
        for (uint256 form; form < 2; ++form) {
            usdc.setBlocked(payer, true);
            _expectRefused(calls[form], "Blacklistable: account is blacklisted");
            usdc.setBlocked(payer, false);
            usdc.setBlocked(escrow, true);
            _expectRefused(calls[form], "Blacklistable: account is blacklisted");
            usdc.setBlocked(escrow, false);
            usdc.setPaused(true);
            _expectRefused(calls[form], "Pausable: paused");
            usdc.setPaused(false);
            (bool accepted,) = address(ledger).call(calls[form]);
            assertTrue(accepted, "the authorization was not used up");
            assertEq(usdc.balanceOf(escrow), BUDGET);
            vm.revertToState(start);
        }
    }

    function test_a_token_upgraded_into_nonsense_takes_no_payment_and_one_upgraded_back_does() public {
        usdc.mint(payer, BUDGET);
        bytes[2] memory calls = _signedForUsdc();
        ProxyUSDC proxy = ProxyUSDC(payable(address(usdc)));
        address good = address(new ProxyUSDCLogic());
        address silent = address(new SilentLogic());
        address mute = address(new MuteLogic());
        uint256 start = vm.snapshotState();
        for (uint256 form; form < 2; ++form) {
            proxy.upgrade(silent);
            (bool accepted, bytes memory answer) = address(ledger).call(calls[form]);
            assertFalse(accepted, "a fallback that swallows the call");
            assertEq(answer, abi.encodeWithSelector(ITaskEscrow.PaymentShort.selector, 0, uint256(BUDGET)));
            proxy.upgrade(mute);
            (accepted, answer) = address(ledger).call(calls[form]);
            assertFalse(accepted, "a balance nobody knows");
            assertEq(answer, abi.encodeWithSelector(ITaskEscrow.BalanceUnknown.selector, address(usdc)));
            proxy.upgrade(good);
            (accepted,) = address(ledger).call(calls[form]);
            assertTrue(accepted);
            assertEq(usdc.balanceOf(escrow), BUDGET);
            vm.revertToState(start);
        }
    }
}

/// Says that everybody has nothing, and swallows every other call.
contract SilentLogic {
    function balanceOf(address) external pure returns (uint256) {
        return 0;
    }

    fallback() external {}
}

/// Answers every question with nothing.
contract MuteLogic {
    fallback() external {}
}
